"""Predictions compared with reference segmentations."""
