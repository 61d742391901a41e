"""Processes that the jobs of a run share, so that Python, libraries and networks are loaded once, not for every job.

Optional: without this package every job is a Python process of its own, and every number is the same.
"""
