"""`python -m grokinterp`."""

from grokinterp.cli import main

main()
