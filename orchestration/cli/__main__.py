"""`python -m orchestration.cli`: the command where its script is not on the PATH."""

from orchestration.cli.app import main

main()
