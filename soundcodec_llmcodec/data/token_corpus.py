"""A corpus of tokens: parquet files of a split's clips with their codes, and which codec made them.

    FOLDER/codec.json                            the codec, and this format's version
    FOLDER/data/SPLIT-00000-of-00012.parquet     id, codes, n_samples, text, speaker
    FOLDER/failed/SPLIT-00000-of-00012.jsonl     clips that could not be read, with the reason; only where there are any

`datasets.load_dataset(FOLDER)` reads it. Letters: F frames, Q codebook levels, V codes a level, N = F Q tokens.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundcodec_llmcodec.files import read_json, written_whole

if TYPE_CHECKING:
    import pyarrow.parquet

FORMAT = "llmcodec-tokens"
FORMAT_VERSION = 1
CODEC_FILE = "codec.json"
DATA_FOLDER = "data"
FAILED_FOLDER = "failed"
_COLUMNS = {"id": "text", "codes": "codes", "n_samples": "samples", "text": "text", "speaker": "text"}
_ROWS = 256
_SHARD = re.compile(r"(?P<split>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.parquet")


class TokenCorpusError(ValueError):
    """A token corpus that cannot be found, is not whole, or is of another codec than expected."""


@dataclass(frozen=True)
class TokenSource:
    """The codec that made tokens. Rates are derived from its numbers, never stated by hand."""

    codec_name: str
    codec_hash: str
    sample_rate: int
    hop_length: int
    codebook_size: int
    num_quantizers: int = 1

    @classmethod
    def of(cls, codec: Any) -> TokenSource:
        """Of an `LLMCodec`."""
        config = codec.config
        sizes = (config.sample_rate, config.hop_length, config.codebook_size, config.num_quantizers)
        return cls(codec.name, codec.weights_hash, *sizes)

    @property
    def vocabulary_size(self) -> int:
        """Q V: each level has its own codes."""
        return self.codebook_size * self.num_quantizers

    @property
    def token_rate(self) -> float:
        """Tokens a second, all levels together."""
        return self.sample_rate / self.hop_length * self.num_quantizers

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TokenSource:
        """The inverse of `to_dict`. Raises TokenCorpusError for missing, unknown or wrong fields."""
        expected = {field.name: field.type for field in dataclasses.fields(cls)}
        if not isinstance(fields, Mapping) or set(fields) != set(expected):
            keys = sorted(fields) if isinstance(fields, Mapping) else repr(fields)
            raise TokenCorpusError(f"expected the fields {sorted(expected)} of a codec, got {keys}")
        for name, kind in expected.items():
            right = isinstance(fields[name], str) if kind == "str" else type(fields[name]) is int and fields[name] > 0
            if not right:
                raise TokenCorpusError(f"expected {name} to be {kind}, got {fields[name]!r}")
        return cls(**fields)


@dataclass(frozen=True, eq=False)
class TokenClip:
    """A clip's codes int32 (N,), frame by frame and in a frame level by level; `n_samples` at the codec's rate."""

    clip_id: str
    codes: np.ndarray
    n_samples: int
    text: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class TokenCorpus:
    """A split of a token corpus: its codec, and clips that are read when they are asked for."""

    label: str
    split: str
    source: TokenSource
    files: tuple[Path, ...]

    @classmethod
    def open(cls, place: str) -> TokenCorpus:
        """ "FOLDER" where it has one split, or "FOLDER:SPLIT".

        Raises TokenCorpusError where it is missing, of another version, or lacks some of its files.
        """
        folder, split_name = (Path(place), None)
        if not folder.is_dir() and ":" in place:
            name, _, split_name = place.rpartition(":")
            folder = Path(name)
        source = read_source(folder)
        shards: dict[str, dict[int, Path]] = {}
        counts: dict[str, int] = {}
        for path in sorted((folder / DATA_FOLDER).glob("*.parquet")):
            match = _SHARD.fullmatch(path.name)
            if match:
                shards.setdefault(match["split"], {})[int(match["index"])] = path
                if counts.setdefault(match["split"], int(match["count"])) != int(match["count"]):
                    raise TokenCorpusError(f"{folder} mixes shards of two numbers in its split {match['split']!r}")
        if split_name is None and len(shards) != 1:
            raise TokenCorpusError(f"{folder} has the splits {sorted(shards)}; name one, as in {folder}:{'SPLIT'}")
        split = next(iter(shards)) if split_name is None else split_name
        if split not in shards:
            raise TokenCorpusError(f"{folder} has no split {split!r}; its splits are {sorted(shards)}")
        missing = sorted(set(range(counts[split])) - set(shards[split]))
        if missing:
            raise TokenCorpusError(
                f"{folder} lacks {len(missing)} of {counts[split]} shards of {split!r}, the first is {missing[0]}; "
                "the same tokenize command again makes them"
            )
        return cls(f"{folder.name}:{split}", split, source, tuple(shards[split][i] for i in range(counts[split])))

    def __len__(self) -> int:
        total = 0
        for file in self.files:
            with _opened(file) as opened:
                total += opened.metadata.num_rows
        return total

    def clips(self) -> Iterator[TokenClip]:
        """The clips in order. Raises TokenCorpusError for damaged shards, and for codes that the codec lacks."""
        for file in self.files:
            with _opened(file) as opened:
                for batch in opened.iter_batches(batch_size=_ROWS, columns=list(_COLUMNS), use_threads=False):
                    batch.validate(full=True)
                    for row in range(batch.num_rows):
                        fields = {name: batch.column(name)[row].as_py() for name in _COLUMNS if name != "codes"}
                        if (
                            fields["id"] is None
                            or fields["n_samples"] is None
                            or not batch.column("codes")[row].is_valid
                        ):
                            raise TokenCorpusError(f"{file} has a clip without an id, codes or a number of samples")
                        codes = batch.column("codes")[row].values.to_numpy(zero_copy_only=False)
                        yield self._checked(
                            TokenClip(fields["id"], codes, fields["n_samples"], fields["text"], fields["speaker"])
                        )

    def ids(self) -> list[np.ndarray]:
        """Each clip's tokens int64 (N,) in [0, Q V): code c of level q is q V + c."""
        return [token_ids(clip.codes, self.source) for clip in self.clips()]

    def _checked(self, clip: TokenClip) -> TokenClip:
        if len(clip.codes) % self.source.num_quantizers:
            raise TokenCorpusError(
                f"clip {clip.clip_id!r} of {self.label} has {len(clip.codes)} codes, no whole frames"
            )
        if len(clip.codes) and not 0 <= clip.codes.min() <= clip.codes.max() < self.source.codebook_size:
            raise TokenCorpusError(
                f"clip {clip.clip_id!r} of {self.label} has codes outside [0, {self.source.codebook_size})"
            )
        # Only now: a wider type would wrap around into the range.
        return dataclasses.replace(clip, codes=clip.codes.astype(np.int32))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[pyarrow.parquet.ParquetFile]:
    """A shard with the columns it must have; pyarrow's errors within the block are TokenCorpusError, naming it."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file, page_checksum_verification=True) as opened:
            schema = opened.schema_arrow
            for name, kind in _COLUMNS.items():
                # A name may be there twice, which is as bad as never.
                if len(schema.get_all_field_indices(name)) != 1:
                    raise TokenCorpusError(f"{file}: expected the columns {list(_COLUMNS)}, got {schema.names}")
                stored_type = schema.field(name).type
                if not (stored_type.equals(_types()[kind]) or (kind == "text" and pyarrow.types.is_null(stored_type))):
                    raise TokenCorpusError(f"{file}: expected {name} as {_types()[kind]}, got {stored_type}")
            yield opened
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise TokenCorpusError(f"{file} is damaged: {' '.join(str(error).split())[:300]}") from error


def _types() -> dict[str, Any]:
    import pyarrow

    return {"text": pyarrow.string(), "codes": pyarrow.list_(pyarrow.int32()), "samples": pyarrow.int64()}


def token_ids(codes: np.ndarray, source: TokenSource) -> np.ndarray:
    """Codes (N,), frame by frame, as int64 (N,) in [0, Q V): code c of level q is q V + c."""
    levels = np.arange(len(codes), dtype=np.int64) % source.num_quantizers
    return codes.astype(np.int64) + levels * source.codebook_size


def read_source(folder: Path) -> TokenSource:
    """The codec of a token corpus. Raises TokenCorpusError where the folder is none, or of another version."""
    path = folder / CODEC_FILE
    if not path.is_file():
        raise TokenCorpusError(f"{folder} is no token corpus, it has no {CODEC_FILE}; make one with llmcodec tokenize")
    try:
        fields = read_json(path)
        version = (fields["format"], fields["version"])
        codec = fields["codec"]
    except (ValueError, KeyError, TypeError) as error:
        raise TokenCorpusError(f"{path} is no description of a token corpus: {error!r}") from error
    if version != (FORMAT, FORMAT_VERSION):
        raise TokenCorpusError(f"{path} is of format {version}, this program reads {(FORMAT, FORMAT_VERSION)}")
    return TokenSource.from_dict(codec)


def shard_name(split: str, index: int, count: int) -> str:
    """The name of a shard's file without its ending."""
    return f"{split}-{index:05d}-of-{count:05d}"


def write_source(folder: Path, source: TokenSource) -> None:
    """Write `codec.json`, or check the one that is there. Raises TokenCorpusError where it is another codec's."""
    if (folder / CODEC_FILE).exists():
        before = read_source(folder)
        if before.codec_hash != source.codec_hash:
            raise TokenCorpusError(
                f"{folder} holds tokens of codec {before.codec_hash[:12]} ({before.codec_name}), these would be of "
                f"{source.codec_hash[:12]} ({source.codec_name}); take another folder"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    description = {"format": FORMAT, "version": FORMAT_VERSION, "codec": source.to_dict()}
    with written_whole(folder / CODEC_FILE) as path:
        path.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def write_shard(folder: Path, name: str, clips: Sequence[TokenClip]) -> None:
    """Write a shard of clips, whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, _types()[kind]) for name, kind in _COLUMNS.items()])
    columns = {
        "id": [clip.clip_id for clip in clips],
        "codes": [clip.codes for clip in clips],
        "n_samples": [clip.n_samples for clip in clips],
        "text": [clip.text for clip in clips],
        "speaker": [clip.speaker for clip in clips],
    }
    (folder / DATA_FOLDER).mkdir(parents=True, exist_ok=True)
    with written_whole(folder / DATA_FOLDER / f"{name}.parquet") as path:
        pyarrow.parquet.write_table(pyarrow.table(columns, schema=schema), path, write_page_checksum=True)
