"""Known facts about grokking, in short runs."""
