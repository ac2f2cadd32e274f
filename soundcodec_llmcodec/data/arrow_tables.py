"""Tables of rows as Arrow gives them: parquet files in the hub's layouts, and audio in the forms that columns have."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundcodec_llmcodec.data.rows import COLUMNS, DataError, require_audio
from soundcodec_llmcodec.files import files_below

if TYPE_CHECKING:
    import pyarrow

_ROWS_AT_ONCE = 32
_SHARD = re.compile(r"(?P<split>.+?)-\d{4,}(?:-of-\d{4,})?(?:-[0-9a-f]+)?")
_NUMBER = re.compile(r"(?:part|shard|chunk)?[-_.]?\d+(?:[-_]of[-_]\d+)?(?:[-_.].*)?")
_PLAIN_SPLIT = "train"


def visible_files(folder: Path, endings: Iterable[str]) -> list[Path]:
    """The files below a folder with one of the endings, by name; hidden ones and macOS's copies of them left out."""
    suffixes = tuple(endings)
    files = [path for path in files_below(folder) if path.suffix.lower() in suffixes]
    return [
        path
        for path in files
        if not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts)
    ]


def parquet_splits(folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """The parquet files of each split.

    A split is what stands before `-00000-of-00001`, the file's name, or for files with numbers for names the folder
    that they are in. Folders above that, but for data/, are configurations; where there are several, a split is called
    CONFIGURATION/SPLIT.
    """
    splits: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        folders = [part for part in file.relative_to(folder).parts[:-1] if part != "data"]
        match = _SHARD.fullmatch(file.stem)
        if match is None and _NUMBER.fullmatch(file.stem):
            split = folders.pop() if folders else _PLAIN_SPLIT
        else:
            split = match["split"] if match else file.stem
        splits.setdefault(("/".join(folders), split), []).append(file)
    several = len({configuration for configuration, _ in splits}) > 1
    return {f"{name}/{split}" if several and name else split: shards for (name, split), shards in splits.items()}


def parquet_size(files: Sequence[Path]) -> int:
    """The number of rows. Raises DataError, naming the file, for one that is damaged or has no column 'audio'."""
    import pyarrow.parquet as pq

    size = 0
    for file in files:
        with _naming(file):
            opened = pq.ParquetFile(file)
            names, rows = opened.schema_arrow.names, opened.metadata.num_rows
        require_audio(names, str(file))
        size += int(rows)
    return size


def parquet_rows(
    files: Sequence[Path], root: Path, *, every_column: bool = False
) -> Callable[[], Iterator[dict[str, Any]]]:
    """A function that starts over the files' rows, with the columns of COLUMNS or with all that there are; relative
    paths lie beside their file, or in `root`."""
    import pyarrow.parquet as pq

    def rows() -> Iterator[dict[str, Any]]:
        for file in files:
            with _naming(file), pq.ParquetFile(file) as opened:
                columns = known_columns(opened.schema_arrow.names, every_column)
                roots = (root, *_up_to(root, file.parent))
                batches = opened.iter_batches(_ROWS_AT_ONCE, columns=columns)
                for index, row in enumerate(row for batch in batches for row in batch_rows(batch, roots)):
                    yield {**row, "origin": f"{file.stem}/{row.get('id') or row.get('source') or index}"}

    return rows


def known_columns(names: Sequence[str], every_column: bool) -> list[str]:
    """Which of a table's columns are read: those of COLUMNS, or every one."""
    return list(names) if every_column else [name for name in dict.fromkeys(COLUMNS) if name in names]


def batch_rows(batch: Any, roots: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The rows of a record batch or table, `audio` as {"bytes", "path"} or {"array", "sampling_rate"}, None for none.

    A relative path is looked for in each of `roots`. Raises DataError for a column that can be no audio.
    """
    other_columns = [name for name in batch.schema.names if name != "audio"]
    audio = _audio_values(batch.column("audio"))
    for values, stored in zip(batch.select(other_columns).to_pylist() or [{}] * len(audio), audio, strict=True):
        yield {**values, "audio": None if stored is None else _located(stored, roots)}


def _audio_values(column: Any) -> list[dict[str, Any] | None]:
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
        column = column.cast(kind) if isinstance(column, pa.ChunkedArray) else column.storage
    if pa.types.is_dictionary(kind):
        return _audio_values(column.cast(kind.value_type))
    if pa.types.is_null(kind):
        return [None] * len(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [None if path is None else {"path": path} for path in column.to_pylist()]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if data is None else {"bytes": data} for data in column.to_pylist()]
    if pa.types.is_struct(kind):
        return [None if not value.is_valid else {key: _plain(value[key]) for key in value} for value in column]
    if _is_list(kind):
        return [None if not value.is_valid else {"array": _plain(value)} for value in column]
    raise DataError(
        f"the column 'audio' is of type {kind}; expected sound files' bytes, paths, or structs of bytes and path or of "
        f"array and sampling_rate"
    )


def _plain(value: Any) -> Any:
    """An Arrow value in Python; numbers as an array, which as a list would take long."""
    if not value.is_valid or not _is_list(value.type):
        return value.as_py()
    numbers = value.values
    if _is_list(numbers.type):
        return np.array([np.asarray(_plain(part)) for part in numbers])
    return numbers.to_numpy(zero_copy_only=False)


def _is_list(kind: pyarrow.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _located(stored: Mapping[str, Any], roots: Sequence[Path]) -> dict[str, Any]:
    path = stored.get("path")
    if stored.get("bytes") or stored.get("array") is not None or not path or Path(path).is_absolute():
        return dict(stored)
    path_here = next((root / path for root in roots if (root / path).is_file()), None)
    return {**stored, "path": path if path_here is None else str(path_here)}


def _up_to(root: Path, folder: Path) -> list[Path]:
    """The folder and those above it, up to `root`."""
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


@contextlib.contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Raise what goes wrong in reading as a DataError with the file's name, which pyarrow leaves out."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read {file} as parquet: {error}") from error
