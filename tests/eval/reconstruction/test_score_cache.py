"""What a cached outcome depends on, and that nothing else is ever taken for it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from eval.harness.clips import CorpusClip
from eval.harness.provenance import sources_digest
from eval.reconstruction import score_cache
from eval.reconstruction.codecs import CodecInfo
from eval.reconstruction.metrics import Score, named
from eval.reconstruction.score_cache import Cache, Cached, CacheError

CODEC = CodecInfo("x", "fake", identity="weights 1")
CLIP = CorpusClip("a", "Speech", "s", np.zeros(8, np.float32), 16_000, "d" * 64, text="words", lang="en")
METRICS = named(["mel", "pesq"])
OUTCOME = Cached(62, 480, Counter({3: 60, 20_479: 2}), {"mel": Score(0.123456789012345), "pesq": Score(reason="none")})


@pytest.fixture
def filled(tmp_path):
    with Cache(tmp_path, "environment") as opened:
        opened.put(CODEC, CLIP, METRICS, OUTCOME)
        opened.commit()
        yield opened


def test_an_outcome_comes_back_as_it_was(filled):
    assert filled.get(CODEC, CLIP, METRICS) == OUTCOME
    assert filled.get(CODEC, CLIP, METRICS[:1]).scores == {"mel": OUTCOME.scores["mel"]}


def test_a_label_is_not_part_of_the_key(filled):
    assert filled.get(replace(CODEC, name="another label"), CLIP, METRICS) == OUTCOME


@pytest.mark.parametrize("change", [{"identity": "weights 2"}, {"identity": None}, {"device": "cuda"}])
def test_another_codec_is_not_it(filled, change):
    assert filled.get(replace(CODEC, **change), CLIP, METRICS) is None


@pytest.mark.parametrize(
    "change",
    [{"digest": "e" * 64}, {"digest": ""}, {"clip_id": "b"}, {"split": "Music"}, {"text": "other"}, {"lang": None}],
)
def test_another_clip_is_not_it(filled, change):
    assert filled.get(CODEC, replace(CLIP, **change), METRICS) is None


def test_another_metric_or_version_is_not_it(filled):
    assert filled.get(CODEC, CLIP, named(["mel", "stoi"])) is None
    assert filled.get(CODEC, CLIP, (replace(METRICS[0], version=99),)) is None


def test_another_environment_is_not_it(filled, tmp_path):
    with Cache(tmp_path, "newer packages") as other:
        assert other.get(CODEC, CLIP, METRICS) is None
    with Cache(tmp_path, "environment") as same:
        assert same.get(CODEC, CLIP, METRICS) == OUTCOME


def test_what_has_no_identity_is_not_put(tmp_path):
    with Cache(tmp_path, "environment") as opened:
        opened.put(replace(CODEC, identity=None), CLIP, METRICS, OUTCOME)
        opened.put(CODEC, replace(CLIP, digest=""), METRICS, OUTCOME)
        opened.commit()
    with sqlite3.connect(tmp_path / score_cache.NAME) as database:
        assert database.execute("select count(*) from coded").fetchone() == (0,)


def test_a_file_that_is_no_cache_is_an_error(tmp_path):
    (tmp_path / score_cache.NAME).write_bytes(b"something else" * 100)
    with pytest.raises(CacheError, match="cannot use the cache"):
        Cache(tmp_path, "environment")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(CacheError, match="cannot use the cache"):
        Cache(tmp_path / "file", "environment")


def test_another_version_is_an_error(tmp_path):
    with sqlite3.connect(tmp_path / score_cache.NAME) as database:
        database.execute("pragma user_version = 99")
    with pytest.raises(CacheError, match="has version 99, this program writes and reads 1"):
        Cache(tmp_path, "environment")


def test_the_environment_follows_packages_and_sources(tmp_path):
    (tmp_path / "metrics").mkdir()
    for name in ("metrics/mel.py", "scoring.py", "other.py"):
        (tmp_path / name).write_text("x = 1")

    def now(version: str = "1") -> str:
        return sources_digest({"numpy": version}, tmp_path, ("metrics", "scoring.py"))

    before = now()
    assert before == now() != now("2")
    (tmp_path / "other.py").write_text("x = 2")
    assert before == now()
    for name in ("metrics/mel.py", "scoring.py"):
        (tmp_path / name).write_text("x = 2")
        assert before != (before := now())


def test_a_part_that_is_not_there_has_no_digest(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"moved\.py"):
        sources_digest({}, tmp_path, ("moved.py",))
