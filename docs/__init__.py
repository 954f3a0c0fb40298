"""The documentation site: `pages/` is written by hand, `generate/` makes the rest from package and artifacts."""
