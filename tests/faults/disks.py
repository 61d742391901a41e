"""Small disks that can be filled."""

import errno
import os
import subprocess

import pytest

SIZE = 64 * 2**20


def mount(folder, size=SIZE, inodes=20000):
    """Mount a small disk in memory on a new folder; the test is skipped where that is not permitted."""
    folder.mkdir(parents=True)
    options = f"size={size},nr_inodes={inodes},mode=0755"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a disk in memory cannot be mounted: {done.stderr.strip()}")
    return folder


def unmount(folder):
    """Detach a disk, also if a process still has a file on it."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Balloon:
    """A file that leaves a number of bytes on a disk, until it is removed."""

    def __init__(self, disk, left=0):
        self.path = disk / ".balloon"
        status = os.statvfs(disk)
        size = status.f_bavail * status.f_frsize - left
        with self.path.open("wb") as file:
            if size > 0:
                fill(file, size)

    def remove(self):
        self.path.unlink()


def fill(file, size):
    """Reserve ``size`` bytes, or as many as there are: a run may be writing at the same time."""
    while size > 0:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            size -= 4096
        else:
            return


class ManyFiles:
    """Empty files that leave room for a number of further files on a disk, until they are removed."""

    def __init__(self, disk, left):
        self.folder = disk / ".many-files"
        self.folder.mkdir()
        for number in range(os.statvfs(disk).f_favail - left):
            (self.folder / str(number)).touch()

    def remove(self):
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()


def occupied(folder):
    """Bytes that the files below a folder occupy on a disk."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in paths)
