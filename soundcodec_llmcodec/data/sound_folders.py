"""A folder of sound files, with the texts that lie beside them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.data.arrow_tables import visible_files
from soundcodec_llmcodec.data.rows import DataError, require_text

SOUND_ENDINGS = (
    *(".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif"),
    *(".wave", ".oga", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64"),
)
# Sound that is not read here. Such files are listed too: each costs itself, and says what to do, instead of missing.
REFUSED_ENDINGS = (".m4a", ".m4b", ".aac", ".wma", ".amr", ".ape", ".wv", ".ac3", ".dsf")
_METADATA = ("metadata.csv", "metadata.jsonl")
_TRANSCRIPTS = ".trans.txt"


def sound_files(folder: Path) -> list[Path]:
    """The sound files in a folder and below it, by name; hidden ones left out, those that are not read included."""
    return visible_files(folder, (*SOUND_ENDINGS, *REFUSED_ENDINGS))


def folder_rows(folder: Path, base: Path, files: Sequence[Path]) -> Callable[[], Iterator[dict[str, Any]]]:
    """A function that starts over the rows of the sound files below `base`, a split of `folder`.

    A clip's id is its path below `base` without the ending (with it where two would be called alike), its `source` and
    `kind` the folder it is in. Texts and other columns are those of LibriSpeech's *.trans.txt, a metadata.csv or
    metadata.jsonl with `file_name`, or a metadata.csv of LJSpeech's form. Raises DataError for one that cannot be read.
    """
    for path in files:
        require_text(str(path), "a sound file's path")
    stems = [path.relative_to(base).with_suffix("").as_posix() for path in files]
    number = Counter(stems)
    columns = _columns(folder, base, files)

    def rows() -> Iterator[dict[str, Any]]:
        for path, stem in zip(files, stems, strict=True):
            relative = path.relative_to(base)
            yield {
                # a.wav and a.flac are two clips
                "id": stem if number[stem] == 1 else relative.as_posix(),
                "source": relative.parent.as_posix() if len(relative.parts) > 1 else base.resolve().name,
                "kind": path.parent.name,
                **columns.get(path, {}),
                "audio": {"path": str(path)},
                "origin": str(path.relative_to(folder)),
            }

    return rows


def _columns(folder: Path, base: Path, files: Sequence[Path]) -> dict[Path, Mapping[str, Any]]:
    """What is written beside the files about each of them."""
    by_file: dict[Path, Mapping[str, Any]] = {}
    listed = set(files)
    by_stem: dict[str, list[Path]] = {}
    for path in files:
        by_stem.setdefault(path.stem, []).append(path)
    tables = [folder / name for name in _METADATA if folder != base and (folder / name).is_file()]
    tables += [path for path in visible_files(base, (".csv", ".jsonl")) if path.name in _METADATA]
    for table in tables:
        for name, columns in _table(table):
            exact = table.parent / name
            close = [path for path in by_stem.get(Path(name).stem, []) if path.is_relative_to(table.parent)]
            for path in [exact] if exact in listed else close if "/" not in name else []:
                by_file[path] = columns
    for transcripts in visible_files(base, (".txt",)):
        if transcripts.name.endswith(_TRANSCRIPTS):
            for line in _read(transcripts).splitlines():
                name, _, text = line.strip().partition(" ")
                for path in by_stem.get(name, []):
                    if path.parent == transcripts.parent:
                        by_file[path] = {**by_file.get(path, {}), "text": text}
    return by_file


def _table(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file name, its columns) of each line of a metadata file."""
    text = _read(path)
    if path.suffix == ".jsonl":
        for number, line in enumerate(filter(str.strip, text.splitlines()), 1):
            try:
                columns = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number}, cannot be read as JSON: {error}") from error
            if isinstance(columns, dict) and isinstance(columns.get("file_name"), str):
                yield columns.pop("file_name"), columns
        return
    lines = text.splitlines(keepends=True)
    first = lines[0] if lines else ""
    if "file_name" in first:
        for columns in csv.DictReader(lines, delimiter=next(sign for sign in ",;\t|" if sign in first or sign == "|")):
            name = columns.pop("file_name") or ""
            yield name, {key: value for key, value in columns.items() if key}
    elif "|" in first:  # LJSpeech: name, text, and the text with its numbers written out
        for line in lines:
            name, *texts = line.rstrip("\r\n").split("|")
            yield name, {"text": texts[-1] if texts else None}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
