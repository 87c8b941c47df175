"""Looks at the machine: Python, git, room on the disk, the watchers that the system allows."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from harness_core.machine.files import read_text
from tui.doctor.check import Check, Patient, fail, ok, warn

FEW_BYTES, NO_BYTES = 2 << 30, 200 << 20
"""Room with which a run may come to its end, and with which it can't do anything."""
PYTHON = (3, 11)
MOUNTS = Path("/proc/self/mountinfo")
_INOTIFY = Path("/proc/sys/fs/inotify")
_WATCHED = 0x2
"""IN_MODIFY: what is watched for doesn't matter."""
_FAR = re.compile(
    r"nfs\d*|cifs|smb\w*|9p|drvfs|afs|ceph|lustre|gpfs|beegfs|glusterfs|ocfs2|davfs|vboxsf|prl_fs|virtiofs|vmhgfs"
    r"|fuse\.(sshfs|rclone|glusterfs|s3fs|ceph|vmhgfs-fuse|davfs2?|gcsfuse|smbnetfs|juicefs)"
)
"""File systems of another machine, or of the one that this machine is a guest of."""


def python(_: Patient) -> Iterator[Check]:
    says = platform.python_version()
    if sys.version_info[:2] >= PYTHON:
        yield ok("Python", says)
    else:
        yield fail("Python", says, "install Python 3.11 or newer, and Longwatch with it")


def git(patient: Patient) -> Iterator[Check]:
    program = shutil.which("git", path=patient.path)
    if program is None:
        yield fail("git", "not installed or not on PATH", "install git: every run is a repository")
        return
    version = patient.try_out(program, "--version")
    if not version.well:
        yield fail("git", version.why, "make `git --version` work")
        return
    yield ok("git", version.out.removeprefix("git version "))
    where = patient.place if patient.place.is_dir() else Path("/")
    named = [patient.try_out(program, "-C", str(where), "config", name) for name in _IDENTITY]
    if all(item.well and item.out for item in named):
        yield ok("git identity", f"{named[0].out} <{named[1].out}>")
    else:
        yield warn(
            "git identity",
            "git has no name or address of yours: commits get Longwatch's own",
            "git config --global user.name and user.email",
        )


_IDENTITY = ("user.name", "user.email")


def disk(patient: Patient) -> Iterator[Check]:
    place = next(path for path in (patient.place, *patient.place.parents) if path.exists())
    room = shutil.disk_usage(place).free
    files = os.statvfs(place)
    says = f"{room / (1 << 30):.1f} GiB free at {place}"
    mend = "make room: a run keeps its journal, its evidence and what it builds there"
    if room < NO_BYTES or (files.f_files and not files.f_favail):
        yield fail(
            "disk", says if files.f_favail or not files.f_files else f"no file can be made at {place}", mend
        )
    elif room < FEW_BYTES:
        yield warn("disk", says, mend)
    else:
        yield ok("disk", says)


def file_system(patient: Patient) -> Iterator[Check]:
    """Whether the kernel can tell of changes there, and a lock and a sync hold: nobody knows that of another
    machine's disk."""
    place = next(path for path in (patient.place, *patient.place.parents) if path.exists())
    kind = kind_of(place.resolve(), read_text(MOUNTS) or "")
    if _FAR.fullmatch(kind):
        says = f"{place} is on {kind}: changes of files are seen up to 2 s late, locks and syncs may not hold"
        yield warn("file system", says, "work on a disk of this machine, if you can")
    elif kind:
        yield ok("file system", kind)


def kind_of(place: Path, mounts: str) -> str:
    """The kind of the file system that `place` is on, by what /proc says of mounts; "" where it is silent."""
    best, kind = 0, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        # A later mount on the same place lies on top.
        if (point == place or point in place.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


_OCTAL = re.compile(r"\\([0-7]{3})")


def inotify(patient: Patient) -> Iterator[Check]:
    """Whether the kernel takes one more watch: what it allows in all doesn't tell what others have left."""
    if sys.platform != "linux":
        yield ok("watchers", "of the system's own kind")
        return
    watches, instances = (_number(name) for name in ("max_user_watches", "max_user_instances"))
    says = f"{watches:,} watches and {instances:,} instances at most"
    if why := _unwatchable(patient.place):
        yield warn(
            "watchers",
            f"the kernel takes no more ({why}; {says}): changes of files are seen up to 2 s late",
            f"sysctl fs.inotify.max_user_watches={2 * watches or 65536} "
            f"fs.inotify.max_user_instances={2 * instances or 512}, or close what watches much",
        )
    else:
        yield ok("watchers", f"one can be had; {says}")


_TAKEN = {errno.EMFILE: "all instances are taken", errno.ENOSPC: "all watches are taken"}


def _unwatchable(place: Path) -> str:
    """Why this process can't have the kernel tell of one more folder, "" where it can."""
    libc = ctypes.CDLL(None, use_errno=True)
    instance = libc.inotify_init1(os.O_CLOEXEC)
    if instance < 0:
        return _TAKEN.get(ctypes.get_errno()) or os.strerror(ctypes.get_errno())
    try:
        folder = place if place.is_dir() else Path("/")
        if libc.inotify_add_watch(instance, os.fsencode(folder), _WATCHED) < 0:
            return _TAKEN.get(ctypes.get_errno()) or os.strerror(ctypes.get_errno())
        return ""
    finally:
        os.close(instance)


def _number(name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int((_INOTIFY / name).read_text())
    return 0
