"""Token corpora as files: what is written is read, what is broken is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from soundcodec_llmcodec.data.token_corpus import (
    CODEC_FILE,
    TokenClip,
    TokenCorpus,
    TokenCorpusError,
    TokenSource,
    shard_name,
    token_ids,
    write_shard,
    write_source,
)

SOURCE = TokenSource("toy", "ab" * 32, 16_000, 320, 50, 2)


def clip(name: str, codes: list[int], **more) -> TokenClip:
    return TokenClip(name, np.array(codes, np.int32), 160 * len(codes), **more)


@pytest.fixture
def folder(tmp_path):
    write_source(tmp_path, SOURCE)
    write_shard(tmp_path, shard_name("train", 0, 2), [clip("a", [1, 2, 3, 49], text="hello", speaker="x")])
    write_shard(tmp_path, shard_name("train", 1, 2), [clip("b", [7, 0]), clip("c", [])])
    return tmp_path


def test_clips_come_back_in_order_with_what_is_known(folder):
    corpus = TokenCorpus.open(f"{folder}:train")
    found = list(corpus.clips())
    assert [one.clip_id for one in found] == ["a", "b", "c"]
    assert len(corpus) == 3
    assert found[0].codes.tolist() == [1, 2, 3, 49]
    assert found[0].codes.dtype == np.int32
    assert (found[0].text, found[0].speaker, found[0].n_samples) == ("hello", "x", 640)
    assert (found[1].text, found[1].speaker) == (None, None)
    assert corpus.source == SOURCE


def test_the_codes_of_each_level_are_tokens_of_their_own(folder):
    assert token_ids(np.array([1, 2, 3, 49]), SOURCE).tolist() == [1, 52, 3, 99]
    assert TokenCorpus.open(str(folder)).ids()[0].tolist() == [1, 52, 3, 99]
    assert SOURCE.vocabulary_size == 100
    assert SOURCE.token_rate == 100.0


def test_datasets_reads_it(folder):
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(str(folder), split="train", cache_dir=str(folder / "cache"))
    assert rows["id"] == ["a", "b", "c"]
    assert rows[0]["codes"] == [1, 2, 3, 49]


def test_a_shard_that_is_missing_is_named(folder):
    (folder / "data" / "train-00000-of-00002.parquet").unlink()
    with pytest.raises(TokenCorpusError, match=r"lacks 1 of 2 shards of 'train', the first is 0"):
        TokenCorpus.open(f"{folder}:train")


def test_splits_are_named_where_there_are_several(folder):
    write_shard(folder, shard_name("validation", 0, 1), [clip("v", [4, 5])])
    with pytest.raises(TokenCorpusError, match=r"splits \['train', 'validation'\]; name one"):
        TokenCorpus.open(str(folder))
    assert len(TokenCorpus.open(f"{folder}:validation")) == 1
    with pytest.raises(TokenCorpusError, match="no split 'test'"):
        TokenCorpus.open(f"{folder}:test")


def test_shards_of_two_runs_do_not_mix(folder):
    write_shard(folder, shard_name("train", 2, 3), [clip("d", [1, 1])])
    with pytest.raises(TokenCorpusError, match="two numbers"):
        TokenCorpus.open(f"{folder}:train")


def test_codes_that_the_codec_does_not_have_are_refused(tmp_path):
    write_source(tmp_path, SOURCE)
    write_shard(tmp_path, shard_name("train", 0, 1), [clip("bad", [1, 50])])
    with pytest.raises(TokenCorpusError, match=r"'bad' of .*:train has codes outside \[0, 50\)"):
        TokenCorpus.open(f"{tmp_path}:train").ids()
    write_shard(tmp_path, shard_name("train", 0, 1), [clip("odd", [1, 2, 3])])
    with pytest.raises(TokenCorpusError, match="no whole frames"):
        TokenCorpus.open(f"{tmp_path}:train").ids()


def test_two_codecs_do_not_share_a_folder(folder):
    write_source(folder, SOURCE)
    with pytest.raises(TokenCorpusError, match="holds tokens of codec abababababab"):
        write_source(folder, dataclasses.replace(SOURCE, codec_hash="cd" * 32))
    assert TokenCorpus.open(str(folder)).source == SOURCE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 9}, "format"),
        ({"codec": {**SOURCE.to_dict(), "hop_length": "320"}}, "expected hop_length to be int"),
        ({"codec": {"codec_name": "toy"}}, "expected the fields"),
        ({"codec": 3}, "expected"),
    ],
)
def test_a_description_that_cannot_be_meant_is_refused(folder, change, message):
    path = folder / CODEC_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(TokenCorpusError, match=message):
        TokenCorpus.open(str(folder))


def test_a_folder_that_is_no_corpus_says_what_to_do(tmp_path):
    with pytest.raises(TokenCorpusError, match="llmcodec tokenize"):
        TokenCorpus.open(str(tmp_path))
