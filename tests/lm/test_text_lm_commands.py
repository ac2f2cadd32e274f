"""A language model as codec training exports it in every command that takes one: scored, continued, measured."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import soundfile
from tiny_lms import make_model, make_tokenizer

from eval.predictability.predictability_command import main as predictability
from eval.salmon.salmon_models import Loader, parse
from soundcodec_llmcodec.cli.command_tree import run_command
from soundcodec_llmcodec.data.token_corpus import TokenClip, TokenSource, shard_name, write_shard, write_source
from soundcodec_llmcodec.lm.extend import extend_lm
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.train.codec_export import export_lm

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore:.*does not say whose tokens")


@pytest.fixture
def codec_folder(tiny_codec, tmp_path):
    tiny_codec.save_pretrained(tmp_path / "codec")
    return tmp_path / "codec"


@pytest.fixture
def exported(tiny_codec, tmp_path):
    """An exported language model over the tiny codec's tokens."""
    tokenizer = make_tokenizer()
    extended = extend_lm(make_model("qwen3_tied", len(tokenizer)), tokenizer, tiny_codec.config.codebook_size)
    return export_lm(tmp_path / "exported", extended)


@pytest.fixture
def sound(tmp_path, noise):
    soundfile.write(tmp_path / "a.wav", noise(8_000).numpy(), 16_000)
    return str(tmp_path / "a.wav")


def nats(exported, codec, clips):
    """Of the tokens but each clip's first, as the model has no token that begins."""
    return np.concatenate([s.audio_nll for s in load_token_lm(exported, TokenSource.of(codec)).score(clips)])


def test_score(tiny_codec, codec_folder, exported, sound, capsys):
    argv = ["score", sound, "--lm", str(exported), "--codec", str(codec_folder), "--quiet", "--json"]
    assert run_command(["lm", *argv]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    clip = tiny_codec.encode(sound).unit.numpy()
    assert (row["name"], row["prefix"], row["tokens"]) == ("exported", "none", len(clip) - 1)
    expected = nats(exported, tiny_codec, [clip]).mean() / math.log(2)
    assert row["bits_per_token"] == pytest.approx(expected, abs=1e-5)


def test_continue(codec_folder, exported, sound, tmp_path, capsys):
    argv = ["continue", sound, "--lm", str(exported), "--codec", str(codec_folder), "--no-end", "--seconds", "0.4"]
    assert run_command(["lm", *argv, "-o", str(tmp_path / "b.wav")]) == 0
    assert "0.50 s, then 0.40 s (20 tokens" in capsys.readouterr().out
    assert soundfile.info(tmp_path / "b.wav").frames == 14_400


def test_predictability(tiny_codec, exported, tmp_path):
    size = tiny_codec.config.codebook_size
    clips = [np.random.default_rng(seed).integers(0, size, 20 + seed) for seed in range(4)]
    write_source(tmp_path / "tokens", TokenSource.of(tiny_codec))
    rows = [TokenClip(str(i), clip.astype(np.int32), 320 * len(clip)) for i, clip in enumerate(clips)]
    write_shard(tmp_path / "tokens", shard_name("test", 0, 1), rows)
    argv = ["--test", f"{tmp_path / 'tokens'}:test", "--models", str(exported), "--output", str(tmp_path / "out")]
    assert predictability([*argv, "--quiet"]) == 0
    (model,) = json.loads((tmp_path / "out" / "results.json").read_text())["models"]
    assert model["prefix"] == "none"
    found = model["audio_vocabulary"]["nats_per_token"]["mean"]
    assert found == pytest.approx(nats(exported, tiny_codec, clips).mean(), abs=1e-5)


def test_salmon_s_models(tiny_codec, codec_folder, exported):
    model = Loader().load(parse(f"{codec_folder}@{exported}"))
    assert (model.info.name, model.info.lm) == ("codec@exported", "exported")
    assert (model.info.lm_prefix, model.info.vocabulary_size) == ("none", tiny_codec.config.codebook_size)
    (clip,) = model.tokenizer.tokens([(np.zeros(8_000, np.float32), 16_000)])
    assert model.lm.score([clip])[0].audio_nll == pytest.approx(nats(exported, tiny_codec, [clip]), abs=1e-5)
    spec = parse("llmcodec_published@voidful/llm-codec")
    assert (spec.codec, spec.lm) == ("llmcodec_published", "voidful/llm-codec")
