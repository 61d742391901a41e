"""Simulated scans with known lesions."""
