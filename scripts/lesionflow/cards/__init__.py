"""The config and the model cards, checked and typed."""
