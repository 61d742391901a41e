"""Packages that take long to import."""

HEAVY = (
    *("tensorflow", "keras", "openvino", "pandas", "scipy.ndimage", "SimpleITK", "matplotlib"),
    *("nilearn", "jinja2", "h5py", "yaml", "pydantic"),
)
