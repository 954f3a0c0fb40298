"""Which measure moves first? Change points of all measures against the grokking point, over operations and seeds."""
