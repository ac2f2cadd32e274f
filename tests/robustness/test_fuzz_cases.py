"""A few hundred cases of benchmarks/fuzz.py with a fixed seed, and the cases that once went wrong."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import sys
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import soundfile
import torch
from fuzzing import crafted, readers
from fuzzing import worker as workers
from fuzzing.targets import TARGETS
from fuzzing.worker import Worker

from soundcodec_llmcodec import audio, checkpoints, tokens
from soundcodec_llmcodec.data.token_corpus import TokenCorpusError, read_source
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.weights_files import CheckpointError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
NEEDS = {"corpus": "pyarrow", "lm": "transformers"}
CASES = {"tokens": 300, "text": 300, "audio": 200, "checkpoint": 100, "pickle": 60, "ngram": 80, "lm": 20, "corpus": 80}


@pytest.mark.parametrize("name", list(CASES))
def test_damaged_files_are_read_or_refused_by_a_documented_error(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    target = TARGETS[name]
    seeds = target.seeds(tmp_path)
    failures, kinds = [], set()
    with Worker(name, seeds[0]) as worker:
        for index in range(CASES[name]):
            outcome = worker.run(target.damage(seeds, random.Random(f"test-{name}-{index}")))
            kinds.add(outcome.kind)
            if outcome.failure is not None:
                failures.append((index, outcome.kind, outcome.failure))
    assert not failures
    assert kinds == {*target.errors} if name == "pickle" else kinds == {"accepted", *target.errors}


@pytest.mark.parametrize(
    ("way", "kind"), [("crash", "crash"), ("run code", "executed"), ("memory", "TokenFileError"), ("odd", "KeyError")]
)
def test_the_fuzzer_sees_what_it_looks_for(way, kind, tmp_path):
    # A worker is another process, which would not see a change made here, so its parts are called.
    class Here:
        errors = ("TokenFileError",)

        def read(self, place):
            if way == "run code":
                (place / crafted.MARK).touch()
            if way == "odd":
                raise KeyError(way)
            if way == "memory":
                np.ones(30 << 20)
                raise tokens.TokenFileError(way)
            return 0

    if way == "crash":
        with Worker("tokens", TARGETS["tokens"].seeds(tmp_path)[0]) as worker:
            worker.run({"clip.llmc": b""})
            worker._process.kill()
            assert worker.run({"clip.llmc": b""}).kind == kind
            assert worker.run({"clip.llmc": b""}).kind == "TokenFileError"
        return
    if way == "run code":
        Here().read(tmp_path)
        assert workers._ran_code(tmp_path, tmp_path)
        return
    outcome = workers._read(Here(), tmp_path, 100, workers.SPARE)
    assert outcome.kind == kind
    assert outcome.failure is not None


def test_no_crafted_pickle_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    codec_pt = tmp_path / "codec.pt"
    made = crafted.pickles({"tokenizer.weight": torch.zeros(2)})
    assert len(made) > 30
    for data in made:
        codec_pt.write_bytes(data)
        with pytest.raises(CheckpointError):
            checkpoints.load(codec_pt)
    assert [path.name for path in tmp_path.iterdir()] == ["codec.pt"]
    # They are no duds: read without care, one of them runs.
    with zipfile.ZipFile(io.BytesIO(made[0])) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        pickle.loads(archive.read(name))
    assert (tmp_path / crafted.MARK).exists()


def test_headers_that_claim_a_trillion_numbers_are_refused_at_once(tiny_codec, tmp_path):
    claimed = 2**40
    header = json.dumps({"a": {"dtype": "F32", "shape": [claimed], "data_offsets": [0, 4 * claimed]}}).encode()
    (tmp_path / "big.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    with pytest.raises(CheckpointError, match=r"big\.safetensors"):
        checkpoints.load(tmp_path / "big.safetensors")
    (tmp_path / "long.safetensors").write_bytes(struct.pack("<Q", claimed) + b"{}")
    with pytest.raises(CheckpointError, match=r"long\.safetensors"):
        checkpoints.load(tmp_path / "long.safetensors")
    whole = bytearray(tokens.dumps(tiny_codec.encode(np.zeros(16_000, np.float32), 16_000)))
    start, header_struct = struct.calcsize("<8sHI"), struct.Struct("<B32sIIIHHQQIH")
    fields = list(header_struct.unpack_from(whole, start))
    fields[7] = claimed
    header_struct.pack_into(whole, start, *fields)
    length = start + struct.unpack_from("<I", whole, 10)[0]
    struct.pack_into("<I", whole, length, zlib.crc32(whole[:length]))
    with pytest.raises(tokens.TokenFileError, match="cut short"):
        tokens.loads(bytes(whole))


def test_a_tensor_that_repeats_one_number_is_refused(tmp_path):
    torch.save({"tokenizer.weight": torch.zeros(1).expand(2**40)}, tmp_path / "codec.pt")
    with pytest.raises(CheckpointError, match="no plain state dict"):
        checkpoints.load(tmp_path / "codec.pt")


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64])
def test_weights_that_are_no_floats_are_refused(tiny_codec, tmp_path, dtype):
    tiny_codec.save_pretrained(tmp_path)
    held = tiny_codec.model.state_dict()
    name = next(iter(held))
    torch.save({**held, name: held[name].to(dtype)}, tmp_path / "codec.pt")
    with pytest.raises(CheckpointError, match=f"{name} is {dtype}, expected torch.float32"):
        checkpoints.load(tmp_path / "codec.pt")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("encoder_layers", 10**9, "tensors for"),
        ("sample_rate", 429_496_730_000, "at most 192,000"),
        ("attention_window", 2**70, "at most"),
        ("hidden_size", 2**30, "hidden|stft_head|sizes"),
        ("head_dim", 1, "head_dim must be even"),
        ("semantic", {"block_frames": 2**31 - 1}, "block_frames must be at most"),
        ("semantic", {"width": 2**30, "heads": 1}, "width must be at most"),
        ("magnitudes", {"window": 2**30, "hop": 2}, "window"),
        ("codebook_partitions", {"speech": [0, float("inf")]}, "does not describe"),
    ],
)
def test_absurd_sizes_in_a_config_are_refused_before_they_cost_anything(tiny_codec, tmp_path, field, value, message):
    tiny_codec.save_pretrained(tmp_path)
    path = tmp_path / checkpoints.CONFIG_FILE
    described = json.loads(path.read_text())
    described["codec"][field] = value
    path.write_text(json.dumps(described))
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": ' + "9" * 5_000 + "}"], ids=["deep", "long number"])
def test_json_that_python_cannot_hold_is_refused(tiny_codec, tmp_path, text):
    tiny_codec.save_pretrained(tmp_path)
    for name in (checkpoints.CONFIG_FILE, "codec.json", "token_lm.json"):
        (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        checkpoints.load(tmp_path)
    with pytest.raises(TokenCorpusError):
        read_source(tmp_path)
    with pytest.raises(ValueError, match="describes no language model"):
        load_token_lm(tmp_path)


def test_a_file_of_many_channels_is_read_in_small_blocks(monkeypatch):
    asked = []
    read = soundfile.SoundFile.read

    def noted(self, frames=-1, *arguments, **options):
        asked.append(frames * self.channels)
        return read(self, frames, *arguments, **options)

    held = io.BytesIO()
    soundfile.write(held, np.zeros((3_000, 1_000), dtype=np.float32), 16_000, format="WAV")
    monkeypatch.setattr(soundfile.SoundFile, "read", noted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = audio.as_clip(held.getvalue())
    assert clip.samples.shape == (1_000, 3_000)
    assert max(asked) <= 1 << 20


def test_what_a_reader_makes_is_counted(tmp_path):
    # The bound on memory grows with the result, so a reader must not claim more than it gave.
    (tmp_path / "clip.llmc").write_bytes(TARGETS["tokens"].seeds(tmp_path)[0]["clip.llmc"])
    assert readers.tokens(tmp_path) == 50 * 8 * 4
