"""One folder per paper or question: what to run, and the figures made from it."""
