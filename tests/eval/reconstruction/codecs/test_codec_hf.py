"""Codecs of transformers, on tiny untrained models saved as a user would have them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from eval.harness.hf_families import FAMILIES
from eval.reconstruction.codecs import LoadError, UnknownSpecError, load

transformers = pytest.importorskip("transformers", reason="needs the extra eval-all")

DAC = {"encoder_hidden_size": 4, "decoder_hidden_size": 32, "codebook_dim": 4, "codebook_size": 16}


def encodec(**more):
    fields = {"num_filters": 2, "hidden_size": 8, "codebook_size": 16, "upsampling_ratios": [8, 5, 4, 2]}
    # 75 frames of 4 bits: 0.3 kbit/s a level.
    fields |= {"target_bandwidths": [0.3, 0.6, 1.2], "num_lstm_layers": 1}
    return transformers.EncodecModel(transformers.EncodecConfig(**{**fields, **more}))


def dac():
    return transformers.DacModel(transformers.DacConfig(**DAC, n_codebooks=4, sampling_rate=24_000))


def mimi():
    fields = {"num_filters": 2, "hidden_size": 16, "codebook_size": 16, "codebook_dim": 8, "num_quantizers": 4}
    fields |= {"vector_quantization_hidden_dimension": 8, "upsample_groups": 16, "num_hidden_layers": 1}
    fields |= {"intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
    return transformers.MimiModel(transformers.MimiConfig(**fields))


def xcodec():
    acoustic = {"model_type": "dac", **DAC, "downsampling_ratios": [8, 5, 4, 2], "upsampling_ratios": [8, 5, 4, 2]}
    acoustic |= {"hidden_size": 64}
    semantic = {"model_type": "hubert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    semantic |= {"intermediate_size": 16, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 4}
    semantic |= {"num_conv_pos_embedding_groups": 2}
    # 50 frames of 4 bits: 0.2 kbit/s a level.
    fields = {"codebook_size": 16, "target_bandwidths": [0.2, 0.4, 0.8], "codebook_dim": 80}
    config = transformers.XcodecConfig(acoustic_model_config=acoustic, semantic_model_config=semantic, **fields)
    return transformers.XcodecModel(config)


def fsq(name):
    if not hasattr(transformers, f"{name}Model"):
        pytest.skip(f"this transformers has no {name}")
    semantic = {"model_type": "wav2vec2-bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    semantic |= {"intermediate_size": 16, "output_hidden_size": 16}
    fields = {"hidden_size": 32, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4}
    fields |= {"num_key_value_heads": 4, "head_dim": 8, "encoder_hidden_size": 2, "quantization_dim": 48}
    fields |= {"quantization_levels": [4, 4, 4]}
    config = getattr(transformers, f"{name}Config")(semantic_model_config=semantic, **fields)
    return getattr(transformers, f"{name}Model")(config)


def wavtokenizer():
    if not hasattr(transformers, "WavTokenizerModel"):
        pytest.skip("this transformers has no WavTokenizer")
    fields = {"num_filters": 2, "hidden_size": 16, "codebook_dim": 16, "codebook_size": 16, "num_lstm_layers": 1}
    fields |= {"decoder_hidden_size": 16, "decoder_intermediate_size": 16, "decoder_num_layers": 1}
    config = transformers.WavTokenizerConfig(decoder_attention_num_groups=4, **fields)
    return transformers.WavTokenizerModel(config)


# model, the query, rate, frames a second, codebook size, levels
CASES = {
    "encodec": (encodec, "", 24_000, 75, 16, 1),
    "encodec at 1.2": (encodec, "?bandwidth=1.2", 24_000, 75, 16, 4),
    "dac": (dac, "", 24_000, 24_000 / 512, 16, 4),
    "dac of 2": (dac, "?num_quantizers=2", 24_000, 24_000 / 512, 16, 2),
    "mimi": (mimi, "", 24_000, 12.5, 16, 4),
    "mimi of 2": (mimi, "?num_quantizers=2", 24_000, 12.5, 16, 2),
    "xcodec": (xcodec, "", 16_000, 50, 16, 4),
    "xcodec at 0.4": (xcodec, "?bandwidth=0.4", 16_000, 50, 16, 2),
    "xcodec2": (lambda: fsq("Xcodec2"), "", 16_000, 50, 64, 1),
    "neucodec": (lambda: fsq("NeuCodec"), "", 16_000, 50, 64, 1),
    "wavtokenizer": (wavtokenizer, "", 24_000, 40, 16, 1),
}


def saved(make, folder):
    torch.manual_seed(0)
    make().save_pretrained(folder)
    return f"hf:{folder}"


def test_every_family_is_tried():
    assert {name.split()[0] for name in CASES} == set(FAMILIES)


@pytest.mark.parametrize("case", CASES)
def test_a_model_is_a_codec(case, tmp_path, assert_contract, clips):
    make, query, rate, frame_rate, codebook_size, levels = CASES[case]
    model = load(saved(make, tmp_path) + query)
    assert_contract(model)
    info = model.info
    assert (info.kind, info.sample_rate) == ("hf", rate)
    assert (info.codebook_size, info.num_quantizers) == (codebook_size, levels)
    assert info.bitrate_bps == pytest.approx(frame_rate * levels * math.log2(codebook_size))
    assert info.token_rate == pytest.approx(frame_rate * levels)
    assert info.parameters > 0
    for clip, item in zip(clips, model.encode(clips), strict=True):
        assert item.codes.dtype == np.int64
        assert item.n_bits is None
        assert 0 <= item.codes.min() <= item.codes.max() < codebook_size
        # The bit rate is what the codes of the clip hold, but for its last frame or two.
        assert item.codes.shape[0] == levels
        assert -1e-6 <= item.codes.shape[1] - clip.seconds * frame_rate < 2


def test_the_codes_are_those_of_the_model_itself(tmp_path, clip_of):
    model = load(saved(encodec, tmp_path) + "?bandwidth=0.6")
    clip = clip_of(24_000, 0.5)
    own = transformers.EncodecModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        values = torch.from_numpy(clip.samples)[None, None]
        expected = own(values, bandwidth=0.6)
    (item,) = model.encode([clip])
    np.testing.assert_array_equal(item.codes, expected.audio_codes[0, 0])
    (made,) = model.decode([item], [clip])
    np.testing.assert_allclose(made, expected.audio_values[0, 0, : len(clip.samples)], atol=1e-6)


def test_stereo_in_chunks_with_scales_counts_all_that_is_stored(tmp_path, assert_contract, clip_of):
    more = {"audio_channels": 2, "normalize": True, "chunk_length_s": 0.2, "overlap": 0.01, "sampling_rate": 24_000}
    model = load(saved(lambda: encodec(norm_type="time_group_norm", **more), tmp_path) + "?bandwidth=0.6")
    assert_contract(model)
    assert model.info.bitrate_bps is None
    (item,) = model.encode([clip_of(24_000, 0.5)])
    # Three chunks of 15 frames at most, two levels of 4 bits, and a scale of 32 bits each.
    assert item.codes.shape[0] == 2
    assert item.n_bits == item.codes.size * 4 + 3 * 32


def test_the_identity_is_of_weights_and_options(tmp_path):
    spec = saved(encodec, tmp_path / "a")
    one, again, other = (load(text).info for text in (spec, spec + "?bandwidth=0.3", spec + "?bandwidth=0.6"))
    assert one.identity == again.identity != other.identity
    assert one.checkpoint_hash == other.checkpoint_hash
    torch.manual_seed(1)
    encodec().save_pretrained(tmp_path / "b")
    assert load(f"hf:{tmp_path / 'b'}").info.checkpoint_hash != one.checkpoint_hash


@pytest.mark.parametrize(
    ("make", "query", "message"),
    [
        (encodec, "?num_quantizers=2", r"\(encodec\) has no option \['num_quantizers'\]; it has: bandwidth, revision"),
        (dac, "?bandwidth=6", r"\(dac\) has no option \['bandwidth'\]; it has: num_quantizers, revision"),
        (encodec, "?bandwidth=7", r"bandwidths 0\.3, 0\.6, 1\.2 \(kbit/s\), got '7'"),
        (xcodec, "?bandwidth=much", r"bandwidths 0\.2, 0\.4, 0\.8"),
        (mimi, "?num_quantizers=5", "1 to 4 num_quantizers, got '5'"),
        (dac, "?num_quantizers=0", "1 to 4 num_quantizers"),
        (dac, "?num_quantizers=-1", "1 to 4 num_quantizers"),
    ],
)
def test_options_that_a_model_lacks_are_errors(make, query, message, tmp_path):
    with pytest.raises(UnknownSpecError, match=message):
        load(saved(make, tmp_path) + query)


def test_what_is_no_codec_or_not_whole_is_left_out(tmp_path):
    transformers.BertConfig(hidden_size=8, num_attention_heads=2).save_pretrained(tmp_path / "bert")
    with pytest.raises(LoadError, match="type 'bert'; codecs are: encodec, dac"):
        load(f"hf:{tmp_path / 'bert'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoadError, match="could not be had"):
        load(f"hf:{tmp_path / 'empty'}")
    saved(dac, tmp_path / "part")
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "part" / "model.safetensors")
    del weights["decoder.conv1.bias"]
    save_file(weights, tmp_path / "part" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LoadError, match=r"lacks weights.*decoder\.conv1\.bias"):
        load(f"hf:{tmp_path / 'part'}")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("vibevoice_acoustic_tokenizer", "latents are continuous"),
        ("pocket_tts_audio_tokenizer", "latents are continuous"),
        ("vibevoice", "no codec"),
        ("higgs_audio_v2_tokenizer", "torchaudio"),
    ],
)
def test_what_codes_sound_and_is_left_out_says_why(kind, reason, tmp_path):
    if kind not in transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES:
        pytest.skip(f"this transformers has no {kind}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(LoadError, match=f"type '{kind}': .*{reason}.*recon:FOLDER; codecs are: encodec"):
        load(f"hf:{tmp_path}")


def test_a_pickle_is_not_read(tmp_path):
    saved(dac, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(LoadError, match="safetensors"):
        load(f"hf:{tmp_path}")


def test_without_the_hub_the_error_says_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(LoadError, match=r"hf:nobody/nothing could not be had: .*hf:FOLDER"):
        load("hf:nobody/nothing")


def test_without_transformers_the_extra_is_named(monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "transformers" else find(name, *rest)
    )
    with pytest.raises(LoadError, match=r"pip install 'soundcodec-llmcodec\[eval-all\]'"):
        load("hf:kyutai/mimi")


def test_semantic_features_are_kaldis_filter_banks(tmp_path, clip_of):
    """Against the definition: 25 ms Povey windows each 10 ms, no dither, 80 mel bins from 20 Hz, log, normalised."""
    torch.manual_seed(0)
    fsq("Xcodec2").save_pretrained(tmp_path)
    family = load(f"hf:{tmp_path}")._family
    whole = clip_of(16_000, 0.5).samples[:7_680]
    made = family.features(whole).numpy()[0]
    expected = kaldi(np.pad(whole, 160).astype(np.float64) * 2**15).reshape(-1, 160)
    assert made.shape == (24, 160)
    np.testing.assert_allclose(made, expected, atol=2e-3)


def kaldi(samples):
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    window = np.hanning(400) ** 0.85
    power = np.abs(np.fft.rfft(frames * window, 512)) ** 2
    mel = 1127 * np.log(1 + np.arange(257) * 16_000 / 512 / 700)
    low, high = (1127 * math.log(1 + frequency / 700) for frequency in (20, 8_000))
    edges = np.linspace(low, high, 82)
    step = edges[1] - edges[0]
    bins = np.maximum(0, 1 - np.abs(mel[:, None] - edges[None, 1:-1]) / step)
    features = np.log(np.maximum(power @ bins, np.finfo(np.float32).eps))
    return (features - features.mean(axis=0)) / np.sqrt(features.var(axis=0, ddof=1) + 1e-7)
