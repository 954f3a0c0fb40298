"""Has a network learned the Fourier multiplication circuit? Criteria that hold or do not, from a run's tables."""
