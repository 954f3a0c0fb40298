"""Sweeps: many configs x seeds, each an ordinary run directory, over any `concurrent.futures.Executor`."""
