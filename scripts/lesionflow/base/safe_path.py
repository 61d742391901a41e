"""Check of paths in archives, which may come from anywhere."""

from pathlib import PurePosixPath, PureWindowsPath


def is_inside(name: str) -> bool:
    """Whether a path in an archive is inside the folder that it is unpacked to, on any operating system."""
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    rooted = path.is_absolute() or windows.drive or windows.root
    return bool(name) and not rooted and "\\" not in name and ".." not in path.parts
