"""Where suites come from: `mini`, a folder in SALMon's layout, or the hub. A new kind is a line in `load`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from eval.harness.clips import clip_of
from eval.salmon.salmon_parts import in_order
from eval.salmon.suite import Pair, PairedRecording, Suite, SuiteError
from soundcodec_llmcodec.data import SOUND_ENDINGS
from soundcodec_llmcodec.data.hub import without_code
from soundcodec_llmcodec.extras import missing

MINI = "mini"
HUB_ID = "slprl/SALMon"
SUITE_FILE = "suite.json"
METADATA_FILE = "metadata.jsonl"

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_SAMPLE = re.compile(r"sample_(\d+)_(\d+)")
_AUDIO_COLUMNS = ("positive_audio", "negative_audio")


def load(name: str) -> Suite:
    """`mini`, a folder, or a hub id such as slprl/SALMon.

    A folder holds a folder a part, with sound files `sample_<i>_<k>.wav` (k = 0 is the coherent one, each other k a
    pair with it), or the hub's data sets as parquet. Raises SuiteError.
    """
    path = Path(name).expanduser()
    if name == MINI:
        return _mini()
    if path.is_dir():
        parts = {entry.name: samples for entry in path.iterdir() if entry.is_dir() and (samples := _samples(entry))}
        if parts:
            return _folder(path, parts)
        if any(path.glob("*/*.parquet")):
            return hub(str(path), path.resolve().name)
        raise SuiteError(
            f"{path} is no suite: expected a folder a part, such as speaker_consistency, with sample_<i>_<k>.wav files"
        )
    if _HUB_NAME.fullmatch(name) and not name.startswith("."):
        return hub(name, name)
    raise SuiteError(f"no suite {name!r}: expected {MINI!r}, a folder that exists, or a hub id such as {HUB_ID}")


# -- the bundled one ---------------------------------------------------------------------------------------------------
def _mini() -> Suite:
    # Made here, from the bundled clips: what makes it is imported only where it is wanted.
    from eval.salmon.build import mini_suite

    return mini_suite.suite()


# -- SALMon's folder layout --------------------------------------------------------------------------------------------
_Samples = dict[int, dict[int, Path]]  # number of the sample -> k -> file


def _samples(folder: Path) -> _Samples:
    samples: _Samples = {}
    for path in sorted(folder.iterdir()):
        match = _SAMPLE.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in SOUND_ENDINGS or not path.is_file():
            continue
        index, k = (int(number) for number in match.groups())
        duplicate = samples.setdefault(index, {}).setdefault(k, path)
        if duplicate is not path:
            raise SuiteError(f"{duplicate} and {path.name} beside it are one sample; keep one of them")
    return dict(sorted(samples.items()))


def _folder(folder: Path, parts: Mapping[str, _Samples]) -> Suite:
    for part, samples in parts.items():
        alone = [index for index, files in samples.items() if 0 not in files or len(files) < 2]
        if alone:
            raise SuiteError(
                f"{folder / part}: {len(alone)} samples, the first is sample_{alone[0]}, are no pairs: expected "
                "sample_<i>_0 and at least sample_<i>_1"
            )
    about, revision = _description(folder / SUITE_FILE)
    label = str(about.get("label") or about.get("name") or folder.resolve().name)
    sizes = {part: sum(len(files) - 1 for files in parts[part].values()) for part in in_order(set(parts))}
    return Suite(str(folder), label, bool(about.get("synthetic", False)), sizes, _pairs_of(folder, parts), revision)


def _description(path: Path) -> tuple[dict[str, Any], str | None]:
    """What a suite says of itself, and a digest of it."""
    if not path.is_file():
        return {}, None
    content = path.read_bytes()
    try:
        about = json.loads(content)
    except ValueError as error:
        raise SuiteError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(about, dict):
        raise SuiteError(f"{path} holds no description of a suite, but {type(about).__name__}")
    return about, hashlib.sha256(content).hexdigest()[:16]


def _pairs_of(folder: Path, parts: Mapping[str, _Samples]) -> Callable[[str], Iterator[Pair]]:
    def pairs(part: str) -> Iterator[Pair]:
        about = _metadata(folder / part / METADATA_FILE)
        for index, files in parts[part].items():
            positive = _recording({"path": str(files[0]), "bytes": _bytes(files[0])})
            for k in sorted(set(files) - {0}):
                negative = _recording({"path": str(files[k]), "bytes": _bytes(files[k])})
                pair_id = str(index) if k == 1 else f"{index}_{k}"
                yield Pair(part, pair_id, positive, negative, about.get(pair_id, {}))

    return pairs


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SuiteError(f"cannot read {path}: {error}") from error


def _metadata(path: Path) -> dict[str, dict[str, Any]]:
    """Rows by `pair_id`. Rows without one are passed over: the package `datasets` reads a file of this name as well."""
    if not path.is_file():
        return {}
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SuiteError(f"{path}, line {number}, cannot be read as JSON: {error}") from error
            if isinstance(row, dict) and "pair_id" in row:
                rows[str(row["pair_id"])] = row
    return rows


# -- the hub -----------------------------------------------------------------------------------------------------------
def hub(name: str, label: str) -> Suite:
    """A data set of the hub, or a copy of its repository, with a configuration a part, as slprl/SALMon has.

    Its columns are `ind`, `positive_audio` and `negative_audio`. A part is downloaded when it is read. Raises
    SuiteError.
    """
    datasets = _datasets()
    try:
        parts = in_order(set(datasets.get_dataset_config_names(name, **without_code(datasets))))
        infos = {part: datasets.load_dataset_builder(name, part, **without_code(datasets)) for part in parts}
    except (OSError, ValueError) as error:  # a ConnectionError is an OSError
        raise SuiteError(f"the suite {name!r} is neither a folder here nor to be had from the hub: {error}") from error
    loaded: dict[str, Any] = {}

    def rows(part: str) -> Any:
        if part not in loaded:
            loaded[part] = _rows(name, part)
        return loaded[part]

    # A builder that does not know its size has to make its data first.
    counts = {
        part: sum(split.num_examples for split in (builder.info.splits or {}).values())
        for part, builder in infos.items()
    }
    sizes = {part: counts[part] or len(rows(part)) for part in parts}
    revision = ",".join(f"{part}={builder.hash}" for part, builder in infos.items())
    digest = hashlib.sha256(revision.encode()).hexdigest()[:16]
    return Suite(name, label, False, sizes, lambda part: _pairs_of_rows(part, rows(part)), digest)


def _rows(name: str, part: str) -> Any:
    datasets = _datasets()
    try:
        splits = datasets.load_dataset(name, part, **without_code(datasets))
    except (OSError, ValueError) as error:
        raise SuiteError(f"cannot read the part {part} of {name!r}: {error}") from error
    if len(splits) != 1:
        raise SuiteError(f"{name} {part} has the splits {list(splits)}; expected one, with the pairs")
    (data,) = splits.values()
    absent = [column for column in _AUDIO_COLUMNS if column not in data.column_names]
    if absent:
        raise SuiteError(f"{name} {part} has no columns {absent}; it has {data.column_names}")
    for column in _AUDIO_COLUMNS:
        data = data.cast_column(column, datasets.Audio(decode=False))
    return data


def _pairs_of_rows(part: str, rows: Any) -> Iterator[Pair]:
    seen: set[str] = set()
    for index, row in enumerate(rows):
        given = row.get("ind")
        pair_id = str(index) if given is None else str(given)
        # Rows are pairs, whatever they are called: a number that comes again is told apart by its place.
        pair_id = f"{pair_id}#{index}" if pair_id in seen else pair_id
        seen.add(pair_id)
        about = {key: value for key, value in row.items() if isinstance(value, (str, int, float, bool))}
        positive, negative = (_recording(row[column]) for column in _AUDIO_COLUMNS)
        yield Pair(part, pair_id, positive, negative, about)


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise SuiteError(missing("reading a suite of the hub", "datasets", "eval")) from error
    return datasets


def _recording(stored: Mapping[str, Any] | None) -> PairedRecording:
    clip = clip_of({"audio": stored}, "", 0)
    return PairedRecording(clip.samples, clip.rate, clip.digest, clip.problem)
