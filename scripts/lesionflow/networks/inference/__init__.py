"""Predict probabilities from an image with imported folds."""
