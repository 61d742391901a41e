"""From published weights to one kind of fold, compared with the original."""
