"""Basics of all other packages: errors, paths of files, atomic writes, digests, the job log."""
