"""Training of the networks included in lesionflow."""
