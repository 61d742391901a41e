"""The scans of a cohort, their files and headers, and the plan of a run."""
