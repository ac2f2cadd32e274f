"""Parquet files on this disk: a single one, or a folder in the hub's layout."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eval.corpora.base import COLUMNS, Corpus, CorpusError, Split, declared_id, in_order, require_audio

ROWS_AT_ONCE = 32

_SHARD = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?")


def parquet_files(folder: Path) -> list[Path]:
    """The folder's parquet files, or those in its folder data/, by name."""
    return sorted((folder / "data").glob("*.parquet")) or sorted(folder.glob("*.parquet"))


def parquet(files: Sequence[Path], name: str, label: str, *, synthetic: bool = False) -> Corpus:
    """The files as a corpus; a split is what stands before `-00000-of-00001`, or the file's name."""
    shards: dict[str, list[Path]] = {}
    for file in files:
        match = _SHARD.fullmatch(file.stem)
        shards.setdefault(match["split"] if match else file.stem, []).append(file)
        with _naming(file):
            names = pq.read_schema(file).names
        require_audio(names, str(file))
    splits = {
        split: Split(sum(map(_size, shards[split])), _rows(shards[split]), _ids(shards[split]))
        for split in in_order(shards)
    }
    return Corpus(name, label, synthetic, splits)


@contextlib.contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Raise what goes wrong in reading as a CorpusError with the file's name, which pyarrow leaves out."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"cannot read {file} as parquet: {error}") from error


def _size(file: Path) -> int:
    with _naming(file):
        return int(pq.read_metadata(file).num_rows)


def _ids(files: Sequence[Path]) -> Callable[[], Iterator[str]]:
    def ids() -> Iterator[str]:
        for file in files:
            with _naming(file):
                if "id" in pq.read_schema(file).names:
                    rows = pq.read_table(file, columns=["id"]).to_pylist()
                    yield from (given for row in rows if (given := declared_id(row)) is not None)

    return ids


def _rows(files: Sequence[Path]) -> Callable[[], Iterator[dict[str, Any]]]:
    def rows() -> Iterator[dict[str, Any]]:
        for file in files:
            with _naming(file), pq.ParquetFile(file) as opened:
                columns = [name for name in COLUMNS if name in opened.schema_arrow.names]
                for batch in opened.iter_batches(ROWS_AT_ONCE, columns=columns):
                    yield from batch.to_pylist()

    return rows
