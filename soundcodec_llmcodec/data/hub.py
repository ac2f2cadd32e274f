"""Data sets through Hugging Face's library: saved on this disk, or on the hub. Audio is read as it is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.data.arrow_tables import batch_rows, known_columns
from soundcodec_llmcodec.data.rows import DataError, require_audio
from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.files import read_json

_ROWS_AT_ONCE = 32
Split = tuple[int, Callable[[], Iterator[dict[str, Any]]]]
Splits = Mapping[str, Split]


def saved_splits(folder: Path, *, every_column: bool = False) -> tuple[Splits, str]:
    """(size, rows) of each split of a folder that `save_to_disk` wrote, and its revision. Raises DataError."""
    names = read_split_names(folder)
    splits: dict[str, Split] = {}
    prints = []
    for name, place in {"all": folder}.items() if names is None else {name: folder / name for name in names}.items():
        loaded = _saved(place)
        # The library cannot load what it saved of no rows.
        rows = None if loaded is None else _rows(loaded, str(place), folder, every_column)
        splits[name] = (0, lambda: iter(())) if rows is None else (len(loaded), rows)
        prints.append(f"{name}={None if loaded is None else loaded._fingerprint}")
    return splits, ",".join(prints)


def read_split_names(folder: Path) -> list[str] | None:
    """The splits of a saved data set; None where it is a single one. Raises DataError."""
    path = folder / "dataset_dict.json"
    if not path.is_file():
        return None
    try:
        return [str(name) for name in read_json(path)["splits"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {path} as the splits of a saved data set: {error!r}") from error


def _saved(folder: Path) -> Any:
    """A saved split, None for one of no rows."""
    datasets = _library(str(folder))
    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {folder} as a saved data set: {error}") from error
    except IndexError as error:
        if list(folder.glob("*.arrow")) and not _is_empty(folder):
            raise DataError(f"cannot read {folder} as a saved data set: {error!r}") from error
        return None


def _is_empty(folder: Path) -> bool:
    import pyarrow as pa

    try:
        return all(pa.ipc.open_stream(str(path)).read_all().num_rows == 0 for path in folder.glob("*.arrow"))
    except (OSError, pa.ArrowException):
        return False


def hub_splits(name: str, split: str | None, *, every_column: bool = False) -> tuple[Splits, str]:
    """(size, rows) of each split, or of the one named, of a data set of the hub, and its revision.

    `name` is owner/name or owner/name/configuration. Raises DataError.
    """
    datasets = _library(name)
    owner, title, *configuration = name.split("/")
    try:
        loaded = datasets.load_dataset(f"{owner}/{title}", *configuration, split=split, **without_code(datasets))
    except (OSError, ValueError) as error:  # a ConnectionError is an OSError
        raise DataError(
            f"the data set {name!r} is neither a folder here nor to be had from the hub: {error}"
        ) from error
    return _splits(loaded, name, split or "all", every_column)


def without_code(datasets: Any) -> dict[str, bool]:
    """The word that a repository's own script is not run: below 4, an environment variable says it may be; from 4 on
    there are no scripts, and the option is an error."""
    return {"trust_remote_code": False} if int(datasets.__version__.split(".")[0]) < 4 else {}


def _splits(loaded: Any, where: str, only: str, every_column: bool) -> tuple[Splits, str]:
    import datasets

    by_split = loaded if isinstance(loaded, datasets.DatasetDict) else {only: loaded}
    sources = {
        str(name): (len(data), _rows(data, f"{where} {name}", Path(), every_column)) for name, data in by_split.items()
    }
    return sources, ",".join(f"{name}={data._fingerprint}" for name, data in by_split.items())


def _rows(data: Any, where: str, root: Path, every_column: bool) -> Callable[[], Iterator[dict[str, Any]]]:
    require_audio(data.column_names, where)
    columns = known_columns(data.column_names, every_column)
    # As Arrow's own values: the library would decode audio, by a package that need not be there.
    stored = data.select_columns(columns).with_format("arrow")

    def rows() -> Iterator[dict[str, Any]]:
        batches = stored.iter(_ROWS_AT_ONCE)
        for index, row in enumerate(row for batch in batches for row in batch_rows(batch, (root,))):
            yield {**row, "origin": str(row.get("id", index))}

    return rows


def _library(where: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(missing(f"reading {where!r}", "datasets", "train")) from error
    return datasets
