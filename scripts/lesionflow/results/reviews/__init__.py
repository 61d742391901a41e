"""Reviews: what readers decided of each lesion, in files of their own."""
