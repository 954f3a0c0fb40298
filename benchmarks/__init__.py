"""How fast it is, as ratios against named baselines; not part of the tests. See README.md here."""
