"""A folder of sound files as a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eval.corpora.base import DOMAINS, Corpus, Split, in_order, require_text
from soundcodec_llmcodec.files import files_below

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif"})
WHOLE = "all"


def sound_files(folder: Path) -> list[Path]:
    """The sound files in the folder and below it, by name; hidden ones left out."""
    found = [path for path in files_below(folder) if path.suffix.lower() in SUFFIXES]
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def audio_folder(folder: Path, files: list[Path]) -> Corpus:
    """The files as a corpus: a clip's id is its path in its split without the ending, its source the folder it is in.

    Where every file is in a folder Speech, Music or Audio, these are the splits; else there is one, `all`.
    """
    for path in files:
        require_text(str(path), "a sound file's path")
    tops = {path.relative_to(folder).parts[0] for path in files}
    by_split = {top: folder / top for top in tops} if tops <= set(DOMAINS) else {WHOLE: folder}
    splits = {}
    for split in in_order(by_split):
        root = by_split[split]
        inside = [path for path in files if path.is_relative_to(root)]
        splits[split] = Split(len(inside), _rows(root, inside))
    return Corpus(str(folder), folder.resolve().name, False, splits)


def _rows(root: Path, files: list[Path]) -> Callable[[], Iterator[dict[str, Any]]]:
    stems = [path.relative_to(root).with_suffix("").as_posix() for path in files]
    number = Counter(stems)

    def rows() -> Iterator[dict[str, Any]]:
        for path, stem in zip(files, stems, strict=True):
            relative = path.relative_to(root)
            # a.wav and a.flac are two clips
            clip_id = stem if number[stem] == 1 else relative.as_posix()
            source = relative.parent.as_posix() if len(relative.parts) > 1 else root.name
            yield {"id": clip_id, "source": source, "audio": {"path": str(path), "bytes": path.read_bytes()}}

    return rows
