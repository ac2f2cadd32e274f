"""A run's journal: finished batches, so that a run that was stopped goes on where it was and mixes with no other.

One JSON line says what the run is, and each line after it is a batch. A line is written at once and flushed to the
disk, so that a kill leaves at most one torn line, the last, which is dropped when the run goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Generic, TypeVar

NAME = "journal.jsonl"
LONGEST_SHOWN = 80
_BEGINNING = b'{"journal": '

_Batch = TypeVar("_Batch")


class JournalError(ValueError):
    """A journal that cannot be gone on with: of another run, in use, or damaged."""


class RunJournal(ABC, Generic[_Batch]):
    """The journal in a run's folder, open for writing. A context manager; `batches` are those that stand in it."""

    # What its first line says: the version of its lines, and whose they are where that has to be told.
    version: ClassVar[int]
    kind: ClassVar[str | None] = None

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Open the folder's journal, or begin one. `identity` is JSON-ready and is all that may change a result.

        Raises JournalError for a journal that exists without `resume`, is another run's, is in use, or is damaged.
        """
        self.path = folder / NAME
        self.batches: list[_Batch] = []
        identity = json.loads(json.dumps(identity, allow_nan=False))
        exists = self.path.is_file() and self.path.stat().st_size > 0
        if exists:
            _check_is_journal(self.path)
        if exists and not resume:
            raise JournalError(
                f"{folder} holds a run already; --resume goes on with it, --output takes another folder, and "
                "--overwrite begins anew"
            )
        folder.mkdir(parents=True, exist_ok=True)
        # Opened without truncation and locked before anything is read or written.
        with contextlib.ExitStack() as closing:
            self._file: IO[str] = closing.enter_context(open(self.path, "a+", encoding="utf-8"))
            lock(self._file, folder)
            n_bytes = self._read(identity) if exists else 0
            if not n_bytes:
                self._file.truncate(0)
                kind = {} if self.kind is None else {"kind": self.kind}
                self._append({"journal": self.version, **kind, "identity": identity})
            closing.pop_all()  # it stays open for the run

    @staticmethod
    @abstractmethod
    def row_of(batch: _Batch) -> dict[str, Any]:
        """A batch as JSON-ready data."""

    @staticmethod
    @abstractmethod
    def batch_of(row: Mapping[str, Any]) -> _Batch:
        """The inverse of `row_of`. Raises ValueError, KeyError, TypeError or AttributeError for what is no batch."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, batch: _Batch) -> None:
        """Write a finished batch; it is on the disk when this returns."""
        self._append(self.row_of(batch))
        self.batches.append(batch)

    def _append(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, identity: Mapping[str, Any]) -> int:
        """Read what stands there, cut a torn last line off, and return the number of bytes kept."""
        # Bytes, because a kill may have cut a character; and lines end with "\n" only, whatever an id may hold.
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode().split("\n")[:-1]
        if lines:
            self._check(lines[0], identity)
            self.batches = [self._batch(line, number) for number, line in enumerate(lines[1:], 2)]
        self._file.truncate(len(whole))
        return len(whole)

    def _check(self, line: str, identity: Mapping[str, Any]) -> None:
        try:
            head = json.loads(line)
            version, begun, kind = head["journal"], head["identity"], head.get("kind")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise JournalError(f"{self.path} is no journal of a run: {error!r}") from error
        if kind != self.kind:
            raise JournalError(f"{self.path} is of another kind of run; take another --output")
        if version != self.version:
            raise JournalError(f"{self.path} has version {version!r}, this program writes and reads {self.version}")
        different = list(_differences(begun, identity))
        if different:
            raise JournalError(
                f"the run in {self.path.parent} is another one, so it cannot be resumed: {'; '.join(different[:4])}. "
                "Run the command that began it, or take another --output"
            )

    def _batch(self, line: str, number: int) -> _Batch:
        try:
            return self.batch_of(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise JournalError(f"{self.path}, line {number}, is damaged: {error!r}") from error


_Self = TypeVar("_Self", bound=RunJournal[Any])


def exists(folder: Path) -> bool:
    """Whether a run was begun in this folder."""
    return (folder / NAME).is_file()


def discard(folder: Path) -> None:
    """Remove the folder's journal, so that a run begins anew. Raises JournalError while another process writes it, and
    for a file of this name that is no journal of a run."""
    path = folder / NAME
    if not path.is_file():
        return
    _check_is_journal(path)
    with open(path, "a", encoding="utf-8") as file:
        lock(file, folder)
        path.unlink()


def _check_is_journal(path: Path) -> None:
    """Raise JournalError for a file that begins otherwise than a run's journal, maybe cut by a kill."""
    with path.open("rb") as file:
        beginning = file.read(len(_BEGINNING))
    if not _BEGINNING.startswith(beginning):
        raise JournalError(f"{path} is no journal of a run; take another --output, or move it away")


def identity_of(value: Any) -> Any:
    """A frozen dataclass as JSON-ready data."""
    return dataclasses.asdict(value)


def _differences(before: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from _differences(before.get(key), now.get(key), f"{where}.{key}" if where else str(key))
    elif before != now:
        yield f"{where} was {_short(before)}, is {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def lock(file: IO[str], folder: Path) -> None:
    """Hold an open file of a folder against other processes until it is closed; JournalError where one has it."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows; there two runs in one folder are not noticed
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise JournalError(f"another process is writing to {folder}; wait for it, or take another --output") from error
