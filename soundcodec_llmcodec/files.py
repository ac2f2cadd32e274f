"""Files that are written whole or not at all, and JSON that is read or refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it takes the place of `path` when the block ends without an error.

    The temporary file is removed when the block raises. A link is followed, and something that is there but is no
    plain file (a device, a pipe) is written to directly, because replacing it would destroy it.

    Any number of threads, processes and machines may write the same `path`: each has a temporary name of its own, and
    the last to end wins. Raises FileNotFoundError where the folder is missing, IsADirectoryError where `path` is a
    folder, and the system's error, naming `path`, where writing fails, as on a full disk.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {os.fspath(path)}: it is a folder; name a file in it")
    if target.exists() and not target.is_file():
        yield target
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {os.fspath(path)}: the folder {target.parent} does not exist")
    # The ending stays last: sound file libraries choose the format by it.
    # The stem is cut so that a name of the greatest length stays one that the system takes.
    temporary = target.with_name(f".{target.stem[:40]}.{uuid.uuid4().hex}.partial{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary), temporary):
            raise
        raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def remove_own(folder: Path, names: Iterable[str]) -> None:
    """Remove these files from a folder, and the folder where nothing else is in it."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def put_folder(scratch: Path, target: Path, names: Sequence[str]) -> None:
    """Give a finished folder of these files its name; what else is in a folder of that name stays there.

    The last of `names` says that the folder is whole: it goes first from an older one, and comes last.
    """
    remove_own(target, reversed(names))
    if not target.exists():
        os.replace(scratch, target)
        return
    for name in names:
        os.replace(scratch / name, target / name)
    scratch.rmdir()


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, in the order of their paths; links to folders are followed, each folder once."""
    files: list[Path] = []
    real_folders: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        place = os.path.realpath(root)
        if place in real_folders:
            folders.clear()
            continue
        real_folders.add(place)
        folders.sort()
        files += [path for path in (Path(root, name) for name in names) if path.is_file()]
    return sorted(files)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path) -> Any:
    """The value that a JSON file (UTF-8) holds. Raises ValueError for anything else, however deep, and OSError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
