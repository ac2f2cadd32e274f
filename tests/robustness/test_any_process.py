"""One codec in any process: pickled, copied, in spawned and forked workers, with joblib and datasets."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from soundcodec_llmcodec.codec import load_codec
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.superb import Codec
from soundcodec_llmcodec.weights_files import CheckpointError

RATE = 16_000
ROOT = Path(__file__).parents[2]


def clips(noise, count: int = 3) -> list[np.ndarray]:
    return [noise(4_000 + 900 * index, index).numpy() for index in range(count)]


def tokenized(codec: LLMCodec, row: dict) -> dict:
    return {"ids": codec.encode(np.array(row["array"], dtype=np.float32), RATE).unit.tolist()}


# -- pickled and copied ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["tiny_codec", "semantic_codec", "unbounded_codec"])
def test_a_pickled_codec_is_the_same_codec(name, request, noise):
    codec, clip = request.getfixturevalue(name), noise(9_000)
    again = pickle.loads(pickle.dumps(codec))
    tokens = codec.encode(clip, RATE)
    assert again.encode(clip, RATE) == tokens
    np.testing.assert_array_equal(again.decode(tokens), codec.decode(tokens))
    assert (again.name, again.info, again.chunk_frames) == (codec.name, codec.info, codec.chunk_frames)
    assert not any(part.training for part in again.model.modules())
    assert not any(value.requires_grad for value in again.model.parameters())


def test_what_is_pickled_depends_on_the_codec_alone(tiny_codec, noise):
    """By its bytes `datasets` decides whether it has computed a map before."""
    fresh = LLMCodec.random(tiny_codec.config)
    before = pickle.dumps(fresh)
    fresh.decode(fresh.encode(noise(640), RATE))
    assert pickle.dumps(fresh) == before == pickle.dumps(pickle.loads(before))
    with torch.no_grad():
        fresh.model.token2wav.istft_head.out.bias.add_(1.0)
    assert pickle.dumps(fresh) != before
    assert pickle.loads(pickle.dumps(fresh)).weights_hash == fresh.weights_hash


def test_what_trains_goes_on_training(tiny_codec):
    codec = copy.deepcopy(tiny_codec)
    codec.model.requires_grad_(True).train()
    codec.model.tokenizer.eval().requires_grad_(False)
    again = pickle.loads(pickle.dumps(codec))
    for mine, others in zip(codec.model.modules(), again.model.modules(), strict=True):
        assert mine.training == others.training
    for (name, mine), (same, others) in zip(
        codec.model.named_parameters(), again.model.named_parameters(), strict=True
    ):
        assert (name, mine.requires_grad) == (same, others.requires_grad)


def test_an_optimized_and_a_compiled_codec_travel_too(tiny_codec, noise):
    lighter = LLMCodec(tiny_codec.config, tiny_codec.model, optimize="bf16")
    tokens = lighter.encode(noise(9_000), RATE)
    assert pickle.loads(pickle.dumps(lighter)).encode(noise(9_000), RATE) == tokens
    compiled = LLMCodec(tiny_codec.config, torch.compile(tiny_codec.model, backend="eager"))
    assert pickle.loads(pickle.dumps(compiled)).weights_hash == tiny_codec.weights_hash


def test_a_shallow_copy_shares_the_model_and_a_deep_one_does_not(tiny_codec, noise):
    shallow, deep = copy.copy(tiny_codec), copy.deepcopy(tiny_codec)
    assert shallow.model is tiny_codec.model
    before = tiny_codec.weights_hash
    assert deep.weights_hash == before
    with torch.no_grad():
        deep.model.token2wav.istft_head.out.bias.add_(1.0)
    assert deep.weights_hash != before == tiny_codec.weights_hash


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda codec: pickle.loads(pickle.dumps(codec))])
def test_the_registrys_object_travels_too(tiny_codec, noise, tmp_path, copied):
    tiny_codec.save_pretrained(tmp_path)
    item = {"audio": {"array": noise(9_000).numpy(), "sampling_rate": RATE}}
    for codec in (load_codec("llmcodec_abl_k3", checkpoint=tmp_path), Codec(codec=tiny_codec)):
        codec.domain = "other"
        again = copied(codec)
        assert type(again) is type(codec)
        assert (again.setting, again.domain, again.device) == (codec.setting, "other", "cpu")
        assert torch.equal(again.extract_unit(item).unit, codec.extract_unit(item).unit)


def test_a_device_that_is_not_here_is_said_at_once(tiny_codec):
    state = tiny_codec.__getstate__()
    state["model"]["device"] = "cuda:77"
    with pytest.raises(CheckpointError, match="cuda:77"):
        LLMCodec.__new__(LLMCodec).__setstate__(state)


def test_a_stream_says_that_it_stays(tiny_codec):
    for stream in (tiny_codec.stream_decoder(), tiny_codec.stream_encoder(RATE)):
        for send in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="open the stream there"):
                send(stream)


def test_what_workers_give_back_costs_no_file_descriptor(tiny_codec, noise):
    """multiprocessing's own pickler sends a bare tensor by one, of which a process has a thousand."""
    registered = Codec(codec=tiny_codec)
    item = {"audio": {"array": noise(9_000).numpy(), "sampling_rate": RATE}}
    tokens = tiny_codec.encode(noise(9_000), RATE)
    for given in (tokens, registered.extract_unit(item), registered.batch_extract_unit([item, item])):
        assert bytes(ForkingPickler.dumps(given)) == pickle.dumps(given)
        for again in (pickle.loads(pickle.dumps(given)), copy.copy(given), copy.deepcopy(given)):
            assert type(again) is type(given)
            assert repr(again) == repr(given)
    for again in (pickle.loads(pickle.dumps(tokens)), copy.copy(tokens), copy.deepcopy(tokens)):
        assert again == tokens
        np.testing.assert_array_equal(tiny_codec.decode(again), tiny_codec.decode(tokens))
    many = pickle.loads(pickle.dumps(registered.batch_extract_unit([item, item])))
    assert all(torch.equal(unit, tokens.unit) for unit in many.units)
    assert many.stuff_for_synth[1].unit.dtype == torch.int64


# -- in workers --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_workers_of_every_kind_give_the_same_tokens(tiny_codec, noise, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    given = clips(noise)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        found = list(pool.map(functools.partial(tiny_codec.encode, sampling_rate=RATE), given, timeout=120))
    assert found == [tiny_codec.encode(clip, RATE) for clip in given]


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_dataloaders_workers_collate_with_a_codec(tiny_codec, noise, method):
    given = clips(noise, 4)
    collate = functools.partial(tiny_codec.encode_batch, sampling_rates=RATE)
    loader = DataLoader(
        given, batch_size=2, num_workers=1, collate_fn=collate, multiprocessing_context=method, timeout=120
    )
    found = [tokens for batch in loader for tokens in batch]
    assert found == [tiny_codec.encode(clip, RATE) for clip in given]


def test_joblib(tiny_codec, noise):
    joblib = pytest.importorskip("joblib")
    given = clips(noise)
    found = joblib.Parallel(n_jobs=2, timeout=120)(joblib.delayed(tiny_codec.encode)(clip, RATE) for clip in given)
    assert found == [tiny_codec.encode(clip, RATE) for clip in given]


def test_cloudpickle_which_ray_uses(tiny_codec, noise):
    cloudpickle = pytest.importorskip("cloudpickle")
    clip = noise(9_000).numpy()
    send = cloudpickle.dumps(lambda: tiny_codec.encode(clip, RATE))
    assert pickle.loads(send)() == tiny_codec.encode(clip, RATE)


def test_datasets_maps_with_processes_and_finds_its_cache(tiny_codec, noise):
    datasets = pytest.importorskip("datasets")
    from datasets.fingerprint import Hasher

    given = clips(noise, 4)
    rows = datasets.Dataset.from_dict({"array": [clip.tolist() for clip in given]})
    found = rows.map(functools.partial(tokenized, tiny_codec), num_proc=2)["ids"]
    assert list(found) == [tiny_codec.encode(clip, RATE).unit.tolist() for clip in given]
    assert Hasher.hash(tiny_codec) == Hasher.hash(LLMCodec.random(tiny_codec.config))


def test_the_pages_program_runs_as_it_stands(tmp_path):
    page = (ROOT / "docs" / "processes.md").read_text(encoding="utf-8")
    program = page.split("```python\n")[1].split("```")[0]
    (tmp_path / "program.py").write_text(program + "    print(len(tokens), tokens[0].unit.dtype)\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert run.stdout.strip() == "1 torch.int64", run.stderr[-2_000:]


# -- after threads -----------------------------------------------------------------------------------------------------
FORKED = """
import multiprocessing as mp, numpy as np, torch
from soundcodec_llmcodec import CodecConfig, LLMCodec
torch.set_num_threads(2)
codec = LLMCodec.random(CodecConfig.preset("tiny"))
clip = np.random.default_rng(0).standard_normal(160_000).astype(np.float32) * 0.1
torch.randn(1 << 20).exp().sum()
expected = codec.encode(clip, 16_000)
pool = mp.get_context("fork").Pool(2)
found = pool.starmap_async(codec.encode, [(clip, 16_000)] * 3).get(60)
threads = pool.apply_async(torch.get_num_threads).get(60)
pool.terminate()
assert found == [expected] * 3, "other tokens"
assert (threads, torch.get_num_threads()) == (1, 2), threads
print("same tokens")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_after_threads_does_not_hang():
    run = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=200)
    assert run.stdout.strip() == "same tokens", run.stderr[-2_000:]
