"""From an imported fold and an image to probabilities."""
