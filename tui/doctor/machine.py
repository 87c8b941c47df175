"""Looks at the machine: Python, git, room on the disk, the watchers that the system allows."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tui.doctor.check import Check, Patient, fail, ok, warn

FEW_BYTES, NO_BYTES = 2 << 30, 200 << 20
"""Room with which a run may come to its end, and with which it can't do anything."""
FEW_WATCHES, FEW_INSTANCES = 8192, 64
_PYTHON = (3, 11)
_INOTIFY = Path("/proc/sys/fs/inotify")


def python(_: Patient) -> Iterator[Check]:
    says = platform.python_version()
    if sys.version_info[:2] >= _PYTHON:
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


def inotify(_: Patient) -> Iterator[Check]:
    if sys.platform != "linux":
        yield ok("watchers", "of the system's own kind")
        return
    watches, instances = (_number(name) for name in ("max_user_watches", "max_user_instances"))
    says = f"{watches:,} watches, {instances} instances"
    if watches < FEW_WATCHES or instances < FEW_INSTANCES:
        yield warn(
            "watchers",
            f"{says}: the console may see changes of files 2 s late",
            f"sysctl fs.inotify.max_user_watches={8 * FEW_WATCHES} fs.inotify.max_user_instances=512",
        )
    else:
        yield ok("watchers", says)


def _number(name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int((_INOTIFY / name).read_text())
    return 0
