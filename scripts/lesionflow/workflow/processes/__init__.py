"""Processes that the jobs of a run share: Python, libraries and networks are loaded once and not for every job.

Optional: without this package every job is a Python process of its own, and every number is the same.
"""
