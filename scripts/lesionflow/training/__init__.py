"""Training of the weights that ship with lesionflow."""
