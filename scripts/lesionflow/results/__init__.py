"""From probabilities to lesions, tables, figures and pages."""
