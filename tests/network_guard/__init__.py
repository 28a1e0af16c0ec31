"""No test, and nothing a test starts, may reach beyond loopback: who tries fails the test that was running."""
