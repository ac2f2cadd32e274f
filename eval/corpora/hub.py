"""Data sets through Hugging Face's library: saved on this disk, or on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.corpora.base import COLUMNS, Corpus, CorpusError, Split, require_audio


def saved(folder: Path) -> Corpus:
    """A folder that `save_to_disk` wrote."""
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot read {folder} as a saved data set: {error}") from error
    return _corpus(loaded, str(folder), folder.resolve().name)


def hub(name: str) -> Corpus:
    """A data set of the hub, `owner/name` or `owner/name/configuration`."""
    import datasets

    owner, title, *configuration = name.split("/")
    try:
        loaded = datasets.load_dataset(f"{owner}/{title}", *configuration)
    except (OSError, ValueError) as error:  # a ConnectionError is an OSError
        raise CorpusError(
            f"the data set {name!r} is neither a folder here nor to be had from the hub: {error}"
        ) from error
    return _corpus(loaded, name, name)


def _corpus(loaded: Any, name: str, label: str) -> Corpus:
    import datasets

    by_split = loaded if isinstance(loaded, datasets.DatasetDict) else {"all": loaded}
    splits: dict[str, Split] = {}
    prints = []
    for split, rows in by_split.items():
        require_audio(rows.column_names, f"{label} {split}")
        columns = [column for column in COLUMNS if column in rows.column_names]
        undecoded = rows.select_columns(columns).cast_column("audio", datasets.Audio(decode=False))
        splits[str(split)] = Split(len(undecoded), undecoded.__iter__)
        prints.append(f"{split}={rows._fingerprint}")
    return Corpus(name, label, False, splits, revision=",".join(prints))
