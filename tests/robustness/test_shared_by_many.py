"""One codec for many threads, one folder for many processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from soundcodec_llmcodec import checkpoints, tokens
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.llmcodec import LLMCodec

_SPAWN = multiprocessing.get_context("spawn")


def test_eight_threads_with_one_codec_get_what_one_gets(noise):
    codec = LLMCodec.random(CodecConfig.preset("tiny"))
    clips = [noise(3_000 + 700 * index, seed=index).numpy() for index in range(24)]
    alone = LLMCodec.random(CodecConfig.preset("tiny"))
    expected = [alone.encode(clip, 16_000) for clip in clips]
    expected_audio = [alone.decode(clip) for clip in expected]
    together = threading.Barrier(8)

    def both_ways(first: int) -> list[tuple[tokens.Tokens, np.ndarray]]:
        together.wait()
        # Not even the hash has been computed by anyone before.
        made = [codec.encode(clip, 16_000) for clip in clips[first::8]]
        return [(clip, codec.decode(clip)) for clip in made]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(both_ways, range(8)))
    for first, pairs in enumerate(found):
        for (clip, samples), wanted, audio in zip(pairs, expected[first::8], expected_audio[first::8], strict=True):
            assert clip == wanted
            assert np.array_equal(samples, audio)


def test_eight_threads_write_one_file(tmp_path):
    target = tmp_path / "clip.llmc"
    made = [
        tokens.Tokens(torch.full((1, 1, 2_000), code, dtype=torch.int64), 600_000, 16_000, 512) for code in range(8)
    ]
    together = threading.Barrier(8)

    def write(clip: tokens.Tokens) -> None:
        together.wait()
        for _ in range(20):
            tokens.save(clip, target)
            assert tokens.load(target) in made

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, made))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.llmc"]


def test_two_writers_of_one_name_do_not_meet(tmp_path):
    target = tmp_path / "one.txt"
    with written_whole(target) as first, written_whole(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"


# -- a checkpoint that is read while it is replaced --------------------------------------------------------------------
def _codecs() -> list[LLMCodec]:
    """Two codecs whose weights have the same shapes, so that only their configs tell a mix."""
    fields = CodecConfig.preset("tiny").to_dict()
    return [LLMCodec.random(CodecConfig.from_dict({**fields, "attention_window": n}), seed=n) for n in (3, 4)]


def _save_again_and_again(folder, stop):
    torch.set_num_threads(1)
    codecs = _codecs()
    turn = 0
    while not stop.is_set():
        turn += 1
        codecs[turn % 2].save_pretrained(folder)


def _load_again_and_again(folder, times, found):
    torch.set_num_threads(1)
    found.put([LLMCodec.from_pretrained(folder).weights_hash for _ in range(times)])


def test_processes_that_load_while_another_saves_never_have_a_mix(tmp_path):
    codecs = _codecs()
    codecs[0].save_pretrained(tmp_path / "shared")
    stop, found = _SPAWN.Event(), _SPAWN.Queue()
    writer = _SPAWN.Process(target=_save_again_and_again, args=(tmp_path / "shared", stop), daemon=True)
    readers = [
        _SPAWN.Process(target=_load_again_and_again, args=(tmp_path / "shared", 25, found), daemon=True)
        for _ in range(4)
    ]
    for process in (writer, *readers):
        process.start()
    try:
        hashes = [hashed for _ in readers for hashed in found.get(timeout=120)]
    finally:
        stop.set()
        for process in (writer, *readers):
            process.join(30)
    assert len(hashes) == 100
    assert set(hashes) == {codec.weights_hash for codec in codecs}


@pytest.mark.parametrize("killed_after", ["nothing", "weights"])
def test_a_save_killed_between_its_steps_leaves_a_whole_checkpoint(tmp_path, monkeypatch, killed_after):
    old, new = _codecs()
    folder = tmp_path / "saved"
    old.save_pretrained(folder)

    def save_and_die():
        replace = os.replace

        def dying(source, target):
            if killed_after == "weights" and os.path.basename(target) == checkpoints.WEIGHTS_FILE:
                replace(source, target)
            os.kill(os.getpid(), signal.SIGKILL)

        os.replace = dying
        new.save_pretrained(folder)

    child = multiprocessing.get_context("fork").Process(target=save_and_die)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    loaded = LLMCodec.from_pretrained(folder)
    expected = old if killed_after == "nothing" else new
    assert loaded.config == expected.config
    assert loaded.weights_hash == expected.weights_hash
    # The next save is none the worse for it.
    old.save_pretrained(folder)
    assert LLMCodec.from_pretrained(folder).weights_hash == old.weights_hash


def test_a_config_changed_by_hand_is_the_one_that_counts(tmp_path):
    codec = _codecs()[0]
    codec.save_pretrained(tmp_path)
    path = tmp_path / checkpoints.CONFIG_FILE
    described = json.loads(path.read_text())
    described["codec"]["attention_window"] = 9
    path.write_text(json.dumps(described))
    assert LLMCodec.from_pretrained(tmp_path).config.attention_window == 9


def test_checkpoints_without_a_hash_are_read_by_their_config(tmp_path):
    codec = _codecs()[0]
    codec.save_pretrained(tmp_path)
    path = tmp_path / checkpoints.CONFIG_FILE
    described = json.loads(path.read_text())
    assert described.pop("weights_hash") == codec.weights_hash
    path.write_text(json.dumps(described))
    save_file(load_file(tmp_path / checkpoints.WEIGHTS_FILE), tmp_path / checkpoints.WEIGHTS_FILE)
    assert LLMCodec.from_pretrained(tmp_path).weights_hash == codec.weights_hash


def test_the_hash_in_the_config_is_that_of_what_is_read_back(tmp_path):
    _codecs()[0].save_pretrained(tmp_path, torch.float16)
    described = json.loads((tmp_path / checkpoints.CONFIG_FILE).read_text())
    assert described["weights_hash"] == LLMCodec.from_pretrained(tmp_path).weights_hash


def test_the_same_weights_make_the_same_files(tmp_path):
    codec = _codecs()[0]
    for name in "ab":
        codec.save_pretrained(tmp_path / name)
    for file in (checkpoints.CONFIG_FILE, checkpoints.WEIGHTS_FILE):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    with safe_open(tmp_path / "a" / checkpoints.WEIGHTS_FILE, framework="pt") as file:
        assert json.loads(file.metadata()["config"])["weights_hash"] == codec.weights_hash
