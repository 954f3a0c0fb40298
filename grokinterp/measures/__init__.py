"""One file per measure; see README.md in this folder for how to add one."""
