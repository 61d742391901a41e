"""File name extensions of images, and the step that converts each to NIfTI."""

MATLAB = ".mat"
NIFTI = (".nii", ".nii.gz")
FREESURFER = (".mgh", ".mgz", ".mgh.gz")
PAIR = (".hdr", ".hdr.gz")  # NIfTI in two files: the other one is .img or .img.gz
PAIR_DATA = (".img", ".img.gz")
NRRD = (".nrrd", ".nhdr")
METAIMAGE = (".mha", ".mhd")
WITH_GEOMETRY = (*NIFTI, *FREESURFER, *PAIR, *NRRD, *METAIMAGE)  # in a directory, these are images


def conversion(path: str) -> str:
    """The step that converts an image of the plan to NIfTI; empty if it is NIfTI already."""
    if path.endswith(NIFTI):
        return ""
    return "convert" if path.endswith((*WITH_GEOMETRY, MATLAB)) else "convert_dicom"
