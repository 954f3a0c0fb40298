"""Faults: commands that are killed, stopped, refused the disk, given damaged files; see count.py for how many."""
