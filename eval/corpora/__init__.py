"""Data sets of clips. A new kind is a file here and a line in `load`."""

from __future__ import annotations

import re
from pathlib import Path

from eval.corpora.audio_folder import audio_folder, sound_files
from eval.corpora.base import DOMAINS, Clip, Corpus, CorpusError, Split, fingerprint
from eval.corpora.hub import hub, saved
from eval.corpora.stored import parquet, parquet_files

__all__ = ["DOMAINS", "MINI", "Clip", "Corpus", "CorpusError", "Split", "fingerprint", "load"]

MINI = "mini"
MINI_LABEL = "mini (synthetic)"
MINI_FOLDER = Path(__file__).parents[1] / "mini"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(?:/[\w.-]+)?")


def load(name: str) -> Corpus:
    """`mini`, a folder (of parquet files, of sound files or from `save_to_disk`), a parquet file, or a hub id.

    A hub id is `owner/name` or `owner/name/configuration`. Raises CorpusError.
    """
    path = Path(name).expanduser()
    if name == MINI or (path.is_dir() and path.resolve() == MINI_FOLDER.resolve()):
        return parquet(parquet_files(MINI_FOLDER), MINI, MINI_LABEL, synthetic=True)
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".parquet" and path.is_file():
        return parquet([path], str(path), path.name)
    if _HUB_ID.fullmatch(name):
        return hub(name)
    raise CorpusError(
        f"no data set {name!r}: expected {MINI!r}, a folder or parquet file that exists, or a hub id 'owner/name' "
        "or 'owner/name/configuration'"
    )


def _folder(folder: Path) -> Corpus:
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return saved(folder)
    files = parquet_files(folder)
    if files:
        return parquet(files, str(folder), folder.resolve().name)
    sounds = sound_files(folder)
    if sounds:
        return audio_folder(folder, sounds)
    raise CorpusError(
        f"{folder} holds no parquet files, neither itself nor in data/, no sound files and no saved data set"
    )
