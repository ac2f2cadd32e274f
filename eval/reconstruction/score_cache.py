"""Scores that need not be computed again, in an SQLite file that several runs may share.

A key says all that a score depends on: the codec's identity, the stored audio's digest, the metric's version, and the
packages and source files that compute it. A codec whose identity is not known is never cached.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from eval.harness.clips import CorpusClip
from eval.reconstruction.codecs import CodecInfo
from eval.reconstruction.metrics import Metric, Score

NAME = "scores.sqlite"
VERSION = 1

_TABLES = """
create table if not exists coded(codec text, clip text, n_tokens integer, n_bits integer, codes text,
                                 primary key (codec, clip)) without rowid;
create table if not exists scores(codec text, clip text, metric text, value real, reason text, weight real not null,
                                  primary key (codec, clip, metric)) without rowid;
"""


class CacheError(ValueError):
    """A cache that cannot be read or written."""


@dataclass(frozen=True)
class Cached:
    """A clip's outcome: the number of tokens, the counted bits, the counts of the codes, and the scores."""

    n_tokens: int | None
    n_bits: int | None
    codes: Counter[int]
    scores: dict[str, Score]


class Cache:
    """Outcomes by codec, clip and metric. `environment` digests what computes the scores. A context manager."""

    def __init__(self, folder: Path, environment: str) -> None:
        """Open the folder's cache, or begin one. Raises CacheError."""
        self._environment = environment
        self._path = path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60)
            version = self._database.execute("pragma user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise CacheError(f"{path} has version {version}, this program writes and reads {VERSION}; remove it")
            with self._database:
                self._database.executescript(_TABLES)
                self._database.execute(f"pragma user_version = {VERSION}")
        except (sqlite3.Error, OSError) as error:
            raise CacheError(f"cannot use the cache {path}: {error}") from error

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def get(self, codec: CodecInfo, clip: CorpusClip, metrics: Sequence[Metric]) -> Cached | None:
        """The clip's outcome, where it was put with all of these metrics; None otherwise."""
        if codec.identity is None or not clip.digest:
            return None
        keys = (_codec_key(codec, self._environment), clip.key)
        with self._failing():
            coded = self._database.execute(
                "select n_tokens, n_bits, codes from coded where codec = ? and clip = ?", keys
            ).fetchone()
            rows = self._database.execute(
                "select metric, value, reason, weight from scores where codec = ? and clip = ?", keys
            ).fetchall()
        scores = {name: Score(value, reason, weight) for name, value, reason, weight in rows}
        if coded is None or any(_metric_key(metric) not in scores for metric in metrics):
            return None
        codes = Counter({int(code): count for code, count in json.loads(coded[2]).items()})
        return Cached(coded[0], coded[1], codes, {metric.name: scores[_metric_key(metric)] for metric in metrics})

    def put(self, codec: CodecInfo, clip: CorpusClip, metrics: Sequence[Metric], outcome: Cached) -> None:
        """Keep a clip's outcome from the next `commit` on; nothing for a codec without an identity."""
        if codec.identity is None or not clip.digest:
            return
        keys = (_codec_key(codec, self._environment), clip.key)
        scores = ((_metric_key(metric), outcome.scores[metric.name]) for metric in metrics)
        rows = [(*keys, name, score.value, score.reason, score.weight) for name, score in scores]
        with self._failing():
            self._database.execute(
                "insert or replace into coded values (?, ?, ?, ?, ?)",
                (*keys, outcome.n_tokens, outcome.n_bits, json.dumps(outcome.codes)),
            )
            self._database.executemany("insert or replace into scores values (?, ?, ?, ?, ?, ?)", rows)

    def commit(self) -> None:
        """Make what was put stay. Raises CacheError."""
        with self._failing():
            self._database.commit()

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CacheError(f"cannot use the cache {self._path}: {error}") from error


def _codec_key(codec: CodecInfo, environment: str) -> str:
    return hashlib.sha256(f"{codec.identity}\n{codec.device}\n{environment}".encode()).hexdigest()


def _metric_key(metric: Metric) -> str:
    return f"{metric.name}@{metric.version}"
