"""Is grokking sharp only because accuracy is a step? The same checkpoints rescored with continuous metrics."""
