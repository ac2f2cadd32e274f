"""Writes a suite in SALMon's folder layout, whole or not at all.

FOLDER/suite.json               what the suite is and how it was made
FOLDER/<part>/sample_<i>_0.wav  the consistent recording of pair i: 16 kHz, mono, 16-bit
FOLDER/<part>/sample_<i>_1.wav  the inconsistent one
FOLDER/<part>/metadata.jsonl    a line a pair: what it was made of
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import soundfile

from eval.salmon.build.built_pairs import RATE, BuiltPair
from soundcodec_llmcodec.files import read_json

FORMAT, VERSION = "llmcodec-salmon-suite", 1
SUITE, METADATA = "suite.json", "metadata.jsonl"


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise ValueError where a suite cannot be written to `folder`: it is a file, or holds something already that is
    not a suite or is not to be replaced."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; --out takes a folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not _is_suite(folder):
        raise ValueError(f"{folder} holds something else than a built suite; --out takes a new folder")
    foreign = _foreign(folder)
    if foreign:
        shown = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        raise ValueError(f"{folder} holds {shown}, which no build wrote; --out takes a new folder")
    if not overwrite:
        raise ValueError(f"{folder} holds a suite already; --overwrite replaces it, --out takes another folder")


@contextlib.contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its place when the block ends without an error."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    temporary.mkdir()
    try:
        yield temporary
        if folder.is_dir():
            # The old one goes only when the new one stands.
            old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
            os.replace(folder, old)
            os.replace(temporary, folder)
            shutil.rmtree(old)
        else:
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_part(folder: Path, pairs: Iterable[BuiltPair]) -> int:
    """Write the pairs of a part into its `folder`; returns their number."""
    folder.mkdir()
    number = 0
    with open(folder / METADATA, "w", encoding="utf-8") as metadata:
        for index, pair in enumerate(pairs):
            for k, samples in enumerate((pair.positive, pair.negative)):
                soundfile.write(folder / f"sample_{index}_{k}.wav", samples, RATE, subtype="PCM_16")
            metadata.write(
                json.dumps({"pair_id": str(index), **pair.about}, ensure_ascii=False, allow_nan=False) + "\n"
            )
            number += 1
    return number


def write_suite(folder: Path, about: Mapping[str, Any]) -> None:
    """Write suite.json."""
    contents = {"format": FORMAT, "version": VERSION, **about}
    text = json.dumps(contents, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / SUITE).write_text(text + "\n", encoding="utf-8")


def _foreign(folder: Path) -> list[str]:
    """What a suite's folder holds beside the files that its suite.json tells of."""
    parts = read_json(folder / SUITE).get("parts")
    ours = {SUITE}
    for part, size in (parts if isinstance(parts, dict) else {}).items():
        ours |= {f"{part}/{METADATA}", *(f"{part}/sample_{i}_{k}.wav" for i in range(int(size)) for k in (0, 1))}
    paths = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir())
    return [name for name in paths if name not in ours]


def _is_suite(folder: Path) -> bool:
    try:
        about = json.loads((folder / SUITE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("format") == FORMAT
