"""Servers of the test run's own, on loopback or a socket, with their data in folders that go when they do."""
