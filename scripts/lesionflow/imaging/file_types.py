"""Endings of the names of image files."""

MATLAB = ".mat"  # ending of MATLAB images


NIFTI = (".nii", ".nii.gz")
