"""`python -m muscope` is the `muscope` command."""

from muscope.cli import main

main()
