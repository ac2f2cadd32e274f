"""Data sets of clips, as soundcodec_llmcodec.data reads them; and the bundled one."""

from __future__ import annotations

from pathlib import Path

from eval.harness import include
from eval.harness.clips import ClipCorpus
from eval.harness.included_corpus import corpus_of
from soundcodec_llmcodec.data import DataError, Place, open_dataset
from soundcodec_llmcodec.nearest import did_you_mean

MINI = "mini"
MINI_LABEL = "mini (synthetic)"
MINI_FOLDER = Path(__file__).parents[1] / "mini"


def load(name: str, *, every_column: bool = False) -> ClipCorpus:
    """`mini`, the name of an included one, or what `open_dataset` takes: a folder, a parquet file or a hub id, each
    with or without ":SPLIT". Rows have the columns that the harness reads, or `every_column` that a table has. Raises
    DataError.
    """
    own = include.included("dataset")
    if name in own:
        return corpus_of(own[name])
    place = Place.parse(name)
    is_mini = name == MINI or (place.path.is_dir() and place.path.resolve() == MINI_FOLDER.resolve())
    if is_mini and place.split is None:
        return ClipCorpus(MINI, MINI_LABEL, True, open_dataset(str(MINI_FOLDER), every_column=every_column).splits)
    try:
        opened = open_dataset(name, all_splits=True, every_column=every_column)
    except DataError as error:
        hint = did_you_mean(name, [MINI, *own])
        beside = f" (included: {', '.join(own)})" if own else ""
        raise DataError(f"{error}{beside}{hint}") from error
    label = place.path.name if place.path.is_file() else place.title
    return ClipCorpus(name, label, is_mini, opened.splits, opened.revision)
