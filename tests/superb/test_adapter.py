"""The six methods of Codec-SUPERB's contract, and the faults of its own codecs that ours must not have."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundcodec_llmcodec.audio import resampled_length
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.superb import BatchExtractedUnit, Codec, CodecInterface, ExtractedUnit
from soundcodec_llmcodec.token_ids import TokenError

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(codec=LLMCodec.random(CodecConfig.preset("tiny")))


def item(n: int, rate: int, seed: int = 0, **more) -> dict:
    samples = (np.random.default_rng(seed).standard_normal(n) * 0.1).astype(np.float32)
    return {"id": f"clip-{seed}", "audio": {"array": samples, "sampling_rate": rate}, **more}


def mixed_items() -> list[dict]:
    lengths = (1, 319, 5_001, 16_000, 700, 30_011)
    return [item(n, rate, seed) for seed, (n, rate) in enumerate(zip(lengths, RATES, strict=True))]


def test_the_contract(codec):
    assert isinstance(codec, CodecInterface)
    assert codec.sampling_rate == 16_000
    assert codec.setting == "llmcodec"
    assert codec.supports_decode is True
    assert codec.device == "cpu"
    assert codec.is_1d() is True
    unit = codec.extract_unit(item(16_000, 16_000)).unit
    assert unit.dtype == torch.int64
    assert unit.shape == (50,)


def test_more_levels_are_not_1d():
    config = CodecConfig.from_dict({**CodecConfig.preset("tiny").to_dict(), "num_quantizers": 2})
    codec = Codec(codec=LLMCodec.random(config))
    assert codec.is_1d() is False
    extracted = codec.extract_unit(item(16_000, 16_000))
    assert extracted.unit.shape == (2, 50)
    np.testing.assert_array_equal(codec.decode_unit(extracted.unit), codec.decode_unit(extracted.stuff_for_synth))


@pytest.mark.parametrize("rate", RATES)
def test_decode_unit_is_at_the_codecs_rate_and_synth_at_the_callers(codec, rate):
    data = item(rate // 2 + 7, rate)
    decoded = codec.decode_unit(codec.extract_unit(data).stuff_for_synth)
    assert decoded.dtype == np.float32
    assert decoded.shape == (resampled_length(rate // 2 + 7, rate, 16_000),)
    result = codec.synth(data, local_save=False)
    assert result["audio"]["sampling_rate"] == rate
    assert result["audio"]["array"].shape == (rate // 2 + 7,)
    assert result["audio"]["array"].dtype == np.float32


def test_synth_has_the_unit_at_every_rate(codec):
    for rate in (16_000, 44_100):
        data = item(9_000, rate)
        result = codec.synth(data, local_save=False)
        assert torch.equal(result["unit"], codec.extract_unit(data).unit)
        assert result["id"] == "clip-0"


def test_decoding_needs_nothing_but_the_ids(codec):
    data = item(8_000, 16_000)
    extracted = codec.extract_unit(data)
    expected = codec.decode_unit(extracted.stuff_for_synth)
    text = "".join(f"<CODEC_{i}>" for i in extracted.unit.tolist())
    for form in (extracted, extracted.unit, extracted.unit.tolist(), extracted.unit.numpy(), text):
        np.testing.assert_array_equal(codec.decode_unit(form), expected)
    np.testing.assert_array_equal(codec.synth(data, local_save=False)["audio"]["array"], expected)
    with pytest.raises(TokenError, match="512 at 1"):
        codec.decode_unit([3, 512])


def test_what_synth_needs_are_tokens_not_latents(codec):
    stuff = codec.extract_unit(item(16_000, 48_000)).stuff_for_synth
    assert not any(torch.is_tensor(v) and v.is_floating_point() for v in vars(stuff).values())


def test_nothing_of_the_callers_is_changed(codec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    items = [item(9_000, 16_000, 0, category="x"), item(9_000, 44_100, 1)]
    before = copy.deepcopy(items)
    codec.extract_unit(items[0])
    codec.batch_extract_unit(items)
    for save in (False, True):
        results = [codec.synth(items[1], local_save=save), *codec.batch_synth(items, local_save=save)]
        for result in results:
            assert all(result is not data for data in items)
            if not save:
                result["audio"]["array"][:] = 7
    for now, then in zip(items, before, strict=True):
        assert now.keys() == then.keys()
        assert now["audio"]["sampling_rate"] == then["audio"]["sampling_rate"]
        np.testing.assert_array_equal(now["audio"]["array"], then["audio"]["array"])


def test_batches_of_mixed_rates_and_lengths_equal_single_calls(codec):
    items = mixed_items()
    batch = codec.batch_extract_unit(items)
    assert isinstance(batch, BatchExtractedUnit)
    assert batch.batch_size == len(items)
    decoded = codec.batch_decode_unit(batch)
    synthesised = codec.batch_synth(items, local_save=False)
    for data, unit, samples, result in zip(items, batch.units, decoded, synthesised, strict=True):
        single = codec.extract_unit(data)
        assert torch.equal(unit, single.unit)
        np.testing.assert_allclose(samples, codec.decode_unit(single.stuff_for_synth), atol=1e-5)
        alone = codec.synth(data, local_save=False)
        assert torch.equal(result["unit"], alone["unit"])
        assert result["audio"]["sampling_rate"] == data["audio"]["sampling_rate"]
        assert result["audio"]["array"].shape == data["audio"]["array"].shape
        np.testing.assert_allclose(result["audio"]["array"], alone["audio"]["array"], atol=1e-5)


def test_a_shuffled_batch_gives_the_same(codec):
    items = mixed_items()
    order = [3, 0, 5, 1, 4, 2]
    units = codec.batch_extract_unit(items).units
    shuffled = codec.batch_extract_unit([items[i] for i in order]).units
    assert all(torch.equal(shuffled[k], units[i]) for k, i in enumerate(order))


def test_batches_are_decoded_from_bare_ids_as_well(codec):
    batch = codec.batch_extract_unit([item(3_200, 16_000), item(1_600, 16_000)])
    decoded = codec.batch_decode_unit([batch.units[0], batch.units[1].tolist()])
    assert [samples.shape for samples in decoded] == [(3_200,), (1_600,)]


def test_empty_batches(codec):
    batch = codec.batch_extract_unit([])
    assert (batch.units, batch.stuff_for_synth, batch.batch_size) == ([], [], 0)
    assert codec.batch_decode_unit(batch) == []
    assert codec.batch_synth([], local_save=False) == []


def test_every_form_of_an_item(codec, tmp_path):
    data = item(9_000, 22_050)
    path = tmp_path / "a.wav"
    soundfile.write(path, data["audio"]["array"], 22_050, subtype="FLOAT")
    expected = codec.extract_unit(data).unit
    forms = [
        {"path": str(path)},
        str(path),
        path,
        {"bytes": path.read_bytes()},
        {"path": str(path), "sampling_rate": 22_050},
    ]
    for audio in forms:
        assert torch.equal(codec.extract_unit({"audio": audio}).unit, expected)
        assert codec.synth({"audio": audio}, local_save=False)["audio"]["array"].shape == (9_000,)


def test_stereo_is_averaged_not_taken_for_two_samples(codec):
    samples = item(9_000, 16_000)["audio"]["array"]
    for stereo in (np.stack([samples, samples]), np.stack([samples, samples], axis=1)):
        result = codec.synth({"audio": {"array": stereo, "sampling_rate": 16_000}}, local_save=False)
        assert result["audio"]["array"].shape == (9_000,)
        assert torch.equal(result["unit"], codec.extract_unit(item(9_000, 16_000)).unit)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"audio": None},
        {"id": "x"},
        "a.wav",
        np.zeros(16_000),
        {"audio": {"array": np.zeros(16_000)}},
        {"audio": {"array": np.full(16_000, np.nan), "sampling_rate": 16_000}},
        {"audio": {"array": np.zeros(0), "sampling_rate": 16_000}},
    ],
    ids=lambda bad: str(bad)[:40],
)
def test_items_without_usable_audio_are_refused(codec, bad):
    with pytest.raises(AudioError):
        codec.extract_unit(bad)
    with pytest.raises(AudioError):
        codec.batch_synth([bad], local_save=False)


def test_saved_files_hold_exactly_what_is_returned_otherwise(codec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    items = [item(9_000, 44_100, 0), item(700, 8_000, 1)]
    kept = codec.batch_synth(items, local_save=False)
    for saved in ([codec.synth(data) for data in items], codec.batch_synth(items)):
        for number, (result, memory) in enumerate(zip(saved, kept, strict=True)):
            assert Path(result["audio"]["path"]) == Path(f"reconstructed_llmcodec/clip-{number}.wav")
            samples, rate = soundfile.read(result["audio"]["path"], dtype="float32")
            assert rate == result["audio"]["sampling_rate"] == memory["audio"]["sampling_rate"]
            np.testing.assert_allclose(samples, memory["audio"]["array"], atol=1e-5)
            assert torch.equal(result["unit"], memory["unit"])


def test_saving_stays_in_its_folder(codec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Path(codec.synth({"audio": item(700, 8_000)["audio"]})["audio"]["path"]).is_file()
    assert Path(codec.synth({**item(700, 8_000), "id": "speaker/7"})["audio"]["path"]).is_file()
    for bad in ("../escaped", str(tmp_path / "elsewhere")):
        with pytest.raises(AudioError, match="outside"):
            codec.synth({**item(700, 8_000), "id": bad})
    assert [entry.name for entry in tmp_path.iterdir()] == ["reconstructed_llmcodec"]


def test_items_of_one_id_have_files_of_their_own(codec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    same = [{**item(n, 8_000), "id": name} for n, name in ((700, "s"), (900, "s"), (800, "s#1"), (650, "./s"))]
    results = codec.batch_synth(same)
    lengths = [soundfile.info(result["audio"]["path"]).frames for result in results]
    assert lengths == [700, 900, 800, 650]
    assert [Path(result["audio"]["path"]).stem for result in results] == ["s", "s#1", "s#1#1", "s#2"]
    assert codec.synth(same[1])["audio"]["path"] == results[0]["audio"]["path"]  # a second run is the same file


def test_the_domain_is_kept_to(codec):
    restricted = Codec(codec=codec.codec)
    restricted.domain = "other"
    assert restricted.extract_unit(item(16_000, 16_000)).unit.min() >= 256
    assert restricted.batch_extract_unit([item(16_000, 16_000)]).units[0].min() >= 256


def test_results_as_dicts(codec):
    extracted = codec.extract_unit(item(700, 8_000))
    assert isinstance(extracted, ExtractedUnit)
    assert extracted.to_dict() == {"unit": extracted.unit, "stuff_for_synth": extracted.stuff_for_synth}
    assert set(codec.batch_extract_unit([item(700, 8_000)]).to_dict()) == {"units", "stuff_for_synth", "batch_size"}
