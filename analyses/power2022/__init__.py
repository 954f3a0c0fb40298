"""Power et al. 2022: grokking over data, operations and ways to train; flatness, outliers, symbols."""
