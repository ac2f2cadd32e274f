"""Corpora to tokens: every clip's tokens are its own, whatever the shards, the order of work and the interruptions."""

from __future__ import annotations

import json
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
import torch

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.__main__ import main
from soundcodec_llmcodec.data import DataError, tokenizing
from soundcodec_llmcodec.data.token_corpus import TokenCorpus, TokenCorpusError, TokenSource
from soundcodec_llmcodec.data.tokenizing import TokenizingPlan, tokenize

LENGTHS = (5_000, 321, 9_600, 1_000, 16_001)


@pytest.fixture
def sounds(tmp_path) -> Path:
    """Five sound files of other lengths, the last at 44.1 kHz, and one that is none."""
    draw = np.random.default_rng(0)
    folder = tmp_path / "sounds"
    folder.mkdir()
    for index, length in enumerate(LENGTHS):
        rate = 44_100 if index == 4 else 16_000
        soundfile.write(folder / f"{index}.wav", 0.1 * draw.standard_normal(length), rate)
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_tokens_are_those_of_each_clip_alone(sounds, tiny_codec, tmp_path):
    done = tokenize(tiny_codec, TokenizingPlan(str(sounds), "train", shard_clips=2), tmp_path / "out")
    corpus = TokenCorpus.open(str(tmp_path / "out"))
    found = {clip.clip_id: clip for clip in corpus.clips()}
    assert list(found) == [f"{i}" for i in range(5)]
    for name, clip in found.items():
        alone = tiny_codec.encode(str(sounds / f"{name}.wav"))
        assert clip.codes.tolist() == alone.unit.reshape(-1).tolist()
    assert corpus.source == TokenSource.of(tiny_codec)
    assert (done.clips, done.failed, done.shards, done.n_present) == (5, 1, 3, 0)
    assert done.tokens == sum(len(clip.codes) for clip in found.values())


def test_what_cannot_be_read_is_listed_with_the_reason(sounds, tiny_codec, tmp_path):
    tokenize(tiny_codec, TokenizingPlan(str(sounds), "train"), tmp_path / "out")
    rows = (tmp_path / "out" / "failed" / "train-00000-of-00001.jsonl").read_text().splitlines()
    assert [json.loads(row)["id"] for row in rows] == ["broken"]
    assert json.loads(rows[0])["reason"]


def test_a_run_that_was_stopped_goes_on_to_the_same_files(sounds, tiny_codec, tmp_path, monkeypatch):
    plan = TokenizingPlan(str(sounds), "train", shard_clips=2)
    tokenize(tiny_codec, plan, tmp_path / "whole")
    write, written = tokenizing.write_shard, []

    def stop_at_second(folder, name, clips):
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(name)
        write(folder, name, clips)

    monkeypatch.setattr(tokenizing, "write_shard", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        tokenize(tiny_codec, plan, tmp_path / "stopped")
    monkeypatch.setattr(tokenizing, "write_shard", write)
    done = tokenize(tiny_codec, plan, tmp_path / "stopped")
    assert (done.shards, done.n_present) == (2, 1)
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


def test_parts_share_the_work(sounds, tiny_codec, tmp_path):
    tokenize(tiny_codec, TokenizingPlan(str(sounds), "train", shard_clips=2), tmp_path / "whole")
    for part in (1, 0):
        with_part = TokenizingPlan(str(sounds), "train", shard_clips=2, part=(part, 2))
        assert tokenize(tiny_codec, with_part, tmp_path / "parts").shards == (1 if part else 2)
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_another_source_under_the_same_name_is_refused(sounds, tiny_codec, tmp_path):
    tokenize(tiny_codec, TokenizingPlan(str(sounds), "train"), tmp_path / "out")
    before = files_of(tmp_path / "out")
    with pytest.raises(TokenCorpusError, match=r"shift was 0, is 80"):
        tokenize(tiny_codec, TokenizingPlan(str(sounds), "train", shift=80), tmp_path / "out")
    assert files_of(tmp_path / "out") == before


def test_a_shift_is_silence_before_each_clip(sounds, tiny_codec, tmp_path):
    tokenize(tiny_codec, TokenizingPlan(str(sounds), "train", shift=100), tmp_path / "out")
    clip = next(TokenCorpus.open(str(tmp_path / "out")).clips())
    samples, _ = soundfile.read(sounds / "0.wav", dtype="float32")
    shifted = torch.from_numpy(np.concatenate((np.zeros(100, np.float32), samples)))
    assert clip.n_samples == 5_100
    assert clip.codes.tolist() == tiny_codec.encode_samples(shifted).T.reshape(-1).tolist()


def test_texts_and_speakers_come_along(sounds, tiny_codec, tmp_path):
    audio = [{"bytes": (sounds / f"{i}.wav").read_bytes(), "path": None} for i in range(2)]
    table = pyarrow.table({"id": ["x", "y"], "audio": audio, "text": ["A B", None], "speaker_id": ["s", " "]})
    (tmp_path / "set").mkdir()
    pyarrow.parquet.write_table(table, tmp_path / "set" / "validation-00000-of-00001.parquet")
    tokenize(tiny_codec, TokenizingPlan(f"{tmp_path / 'set'}:validation", "validation"), tmp_path / "out")
    told = [(clip.text, clip.speaker) for clip in TokenCorpus.open(str(tmp_path / "out")).clips()]
    assert told == [("A B", "s"), (None, None)]


@pytest.mark.parametrize("fields", [{"split": "a-b"}, {"shift": -1}, {"shard_clips": 0}, {"part": (2, 2)}])
def test_plans_that_cannot_be_meant(fields):
    with pytest.raises(ValueError, match=r"expected|split"):
        TokenizingPlan(**{"dataset": "x", "split": "train", **fields})


def test_nothing_to_read_is_an_error(tiny_codec, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no parquet files, no sound files"):
        tokenize(tiny_codec, TokenizingPlan(str(tmp_path / "empty"), "train"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_lists_and_exits_with_1(sounds, tiny_codec, tmp_path, monkeypatch, capsys):
    tiny_codec.save_pretrained(tmp_path / "codec")
    monkeypatch.delenv(checkpoints.CHECKPOINT_VARIABLE, raising=False)
    command = ["tokenize", "--dataset", str(sounds), "--codec", str(tmp_path / "codec"), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    told = capsys.readouterr()
    assert "5 clips" in told.out
    assert "1 clips could not be read" in told.err
    (sounds / "broken.wav").unlink()
    assert main([*command, "--split", "good", "--quiet"]) == 0
    assert main([*command, "--part", "x"]) == 2
    assert "expected --part I/N" in capsys.readouterr().err
    assert main([*command, "--split", "good", "--shift", "7"]) == 2
    assert "made in another way" in capsys.readouterr().err


def test_blocks_are_read_ahead_and_handed_on_in_order():
    events = []

    def read(item):
        events.append(("read", item))
        return torch.zeros(item), ""

    def asked():
        for shard, block in ((0, [1, 2]), (0, [3]), (2, [4, 5]), (2, [6])):
            events.append(("asked", block[0]))
            yield shard, block

    with ThreadPool(1) as pool:
        ahead = tokenizing.ReadAhead(pool, read)
        taken = []
        for shard, blocks in ahead.shards(asked()):
            for block in blocks:
                assert (block.shard, [len(samples) for samples, _ in block.read]) == (shard, block.items)
                taken += block.items
                events.append(("taken", block.items[0]))
    assert taken == [1, 2, 3, 4, 5, 6]
    # Two blocks are on their way while the first is worked on, and not all of a long corpus.
    assert events.index(("asked", 4)) < events.index(("taken", 1)) < events.index(("asked", 6))
    assert 0 <= ahead.waited_s < 10


@pytest.mark.parametrize("clips", [1, 2])
def test_blocks_of_any_size_give_the_same_files(sounds, tiny_codec, tmp_path, monkeypatch, clips):
    done = tokenize(tiny_codec, TokenizingPlan(str(sounds), "train", shard_clips=4), tmp_path / "whole")
    monkeypatch.setattr(tokenizing, "_READ_AHEAD_CLIPS", clips)
    monkeypatch.setattr(tokenizing, "_READ_AHEAD_S", 0.1)
    again = tokenize(tiny_codec, TokenizingPlan(str(sounds), "train", shard_clips=4), tmp_path / "blocks")
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "blocks")
    assert (done.clips, done.tokens) == (again.clips, again.tokens)
    assert 0 <= done.waited_s <= done.took_s
