"""Figures that anyone can measure again: both sides timed in one run, medians of interleaved rounds."""
