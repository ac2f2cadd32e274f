"""Which files of a folder a run of ours wrote: a list that grows before each file does, so that `--overwrite` removes
these and nothing else.

    FOLDER/run_files.jsonl    a line that says what it is, then a line for each file, as {"file": "samples/a.flac"}

A file that is there and stands in no list is somebody else's: it is neither removed nor written over.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from eval.harness.journal import NAME as JOURNAL
from soundcodec_llmcodec.files import read_json, written_whole

NAME = "run_files.jsonl"
_HEAD = {"format": "soundcodec-llmcodec/run-files", "version": 1}
_SCHEMAS = "soundcodec-llmcodec/"
# What runs wrote before they kept a list.
_EARLIER = ("results.json", "clips.jsonl", "pairs.jsonl", "table.md", "report.html")


class ForeignFileError(ValueError):
    """A file stands where a run would write one, and no run of ours wrote it."""


def listed(folder: Path) -> frozenset[str]:
    """The files that runs of ours wrote into this folder, as paths relative to it with "/". Raises ForeignFileError
    where the list itself is none of ours."""
    path = folder / NAME
    if not path.is_file():
        return frozenset(_before_lists(folder))
    rows = list(_rows(path))
    if not rows or rows[0] != _HEAD:
        raise ForeignFileError(f"{path} is no list of a run's files; take another --output, or move it away")
    names = (row.get("file") for row in rows[1:])
    return frozenset(name for name in names if isinstance(name, str) and _is_inside(folder, name))


def check(folder: Path, names: Iterable[str], *, resumed: bool = False) -> None:
    """Raise ForeignFileError where one of these files is there and no run of ours wrote it.

    `resumed`: a run that was begun before there were lists goes on in this folder; what it left is listed now.
    """
    there = [name for name in names if (folder / name).exists()]
    if resumed and (folder / JOURNAL).is_file() and not (folder / NAME).exists():
        for name in there:
            _append(folder, name)
    ours = listed(folder)
    foreign = [name for name in there if name not in ours]
    if foreign:
        shown = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        raise ForeignFileError(
            f"{folder} holds {shown}, which no run of ours wrote and this one would write over; take another --output, "
            "or move it away"
        )


@contextlib.contextmanager
def written(folder: Path, name: str) -> Iterator[Path]:
    """A temporary file to write to, which becomes the folder's file of this name, listed, when the block ends well.

    The folders are made where they are missing. Raises ForeignFileError as `check` does.
    """
    check(folder, [name])
    # A folder from before there were lists needs none for its report to be made again.
    is_unlisted = name in _EARLIER and not (folder / NAME).exists() and bool(_before_lists(folder))
    if not is_unlisted and name not in listed(folder):
        _append(folder, name)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / name) as path:
        yield path


def discard(folder: Path) -> None:
    """Remove the files that runs of ours wrote into the folder, and what of their folders is empty then."""
    names = listed(folder)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for parent in {(folder / name).parent for name in names} - {folder}:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
    (folder / NAME).unlink(missing_ok=True)


def _append(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    # The first line of a folder from before there were lists takes what was known of it along.
    rows: list[Mapping[str, Any]] = [{"file": name}]
    if not path.exists():
        rows = [_HEAD, *({"file": earlier} for earlier in sorted(_before_lists(folder) - {name})), *rows]
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that are JSON objects; a kill may have torn the last one."""
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


def _before_lists(folder: Path) -> set[str]:
    """The files of a run from before there were lists: those that its results.json tells of."""
    try:
        results = read_json(folder / "results.json")
    except (OSError, ValueError):
        return set()
    if not isinstance(results, dict) or not str(results.get("schema", "")).startswith(_SCHEMAS):
        return set()
    names = {name for name in _EARLIER if (folder / name).is_file()}
    samples = set(_texts(results.get("samples")))
    # A pair's recordings have a file beside them that tells of them.
    samples |= {re.sub(r"-(positive|negative)\.flac$", ".json", name) for name in samples}
    names |= {name for name in samples if (folder / name).is_file()}
    return {name for name in names if _is_inside(folder, name)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value.startswith("samples/"):
        yield value


def _is_inside(folder: Path, name: str) -> bool:
    """Whether a listed path stays within the folder, also through links."""
    if not name or Path(name).is_absolute():
        return False
    return (folder / name).parent.resolve().is_relative_to(folder.resolve()) and ".." not in Path(name).parts
