"""What every other package builds on: errors, paths, atomic writes, digests, the job log."""
