"""Import published weights into folds of one format, and compare them with the published network."""
