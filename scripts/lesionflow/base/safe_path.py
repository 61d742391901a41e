"""Paths that came from elsewhere."""

from pathlib import PurePosixPath, PureWindowsPath


def is_inside(name: str) -> bool:
    """Whether a path in an archive stays in the folder that it is unpacked to, on any system."""
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    rooted = path.is_absolute() or windows.drive or windows.root
    return bool(name) and not rooted and "\\" not in name and ".." not in path.parts
