"""The run directory: the files that are the only interface between training and analysis."""
