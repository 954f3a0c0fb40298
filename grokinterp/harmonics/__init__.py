"""Bases in which an operation's structure is visible: characters of cyclic groups."""
