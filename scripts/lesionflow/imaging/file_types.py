"""File name extensions of images."""

MATLAB = ".mat"
NIFTI = (".nii", ".nii.gz")
