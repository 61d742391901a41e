"""Which scans there are, which files each has, what their headers show, and the plan of a run."""
