"""Files that survive a crash: written whole, created once, read within bounds."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from harness_core.layout import PRIVATE

MAX_TEXT = 4 << 20
"""Most bytes that are read of any text from outside (4 MiB)."""


def sync_folder(folder: Path) -> None:
    """Make a rename or creation in `folder` durable."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make durable what somebody else wrote to `path`, and that it is there. Raises OSError."""
    _sync(path, os.O_NONBLOCK)
    sync_folder(path.parent)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_temporary(path: Path, data: bytes, *, durable: bool) -> Path:
    import tempfile  # noqa: PLC0415  (who only reads does without)

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=_scratch(path.parent))
    try:
        with naming(path):
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            os.chmod(name, 0o644)
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def _scratch(folder: Path) -> Path:
    """Where a file for `folder` is prepared: at a run's root not there, where `git add -A` may find it."""
    private = folder / PRIVATE
    there = private.is_dir() and private.stat().st_dev == folder.stat().st_dev
    return private if there else folder


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError that is raised in here names `path`."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def write_whole(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace `path` so that a reader sees the old bytes or the new, never a mixture.

    With `durable`, the new bytes also outlive a loss of power. Raises OSError.
    """
    temporary = _write_temporary(path, data, durable=durable)
    try:
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_all(descriptor: int, data: bytes, path: Path) -> None:
    """Write all of `data`. Raises OSError that names `path`, whose descriptor it is."""
    done = 0
    with naming(path):
        while done < len(data):
            done += os.write(descriptor, data[done:])


def clear_way(path: Path) -> None:
    """Make room for a file at `path`: its folder is made, a folder in its place removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        import shutil  # noqa: PLC0415

        shutil.rmtree(path)


def create_once(path: Path, data: bytes) -> bool:
    """Create `path` with `data`, whole and durable, unless it exists; True when it was created."""
    temporary = _write_temporary(path, data, durable=True)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def read_bounded(path: Path, limit: int = MAX_TEXT) -> bytes | None:
    """The first `limit` bytes of `path`, or None when there is no such regular file."""
    descriptor = _open_regular(path)
    if descriptor is None:
        return None
    with open(descriptor, "rb") as stream:
        return stream.read(limit)


def _open_regular(path: Path) -> int | None:
    """A descriptor for reading a regular file. A pipe in its place would be waited for, perhaps for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def read_text(path: Path, limit: int = MAX_TEXT) -> str | None:
    """`read_bounded` as text; bytes that aren't UTF-8 become replacement characters."""
    data = read_bounded(path, limit)
    return None if data is None else data.decode("utf-8", errors="replace")


def read_end(path: Path, limit: int) -> bytes:
    """The last `limit` bytes of `path`; none when there is no such file."""
    descriptor = _open_regular(path)
    if descriptor is None:
        return b""
    with open(descriptor, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - limit))
        return stream.read(limit)
