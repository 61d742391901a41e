"""HTML pages of the cohort and of each scan."""
