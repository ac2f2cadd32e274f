"""`llmcodec lm`: count, score and continue."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import soundfile
import torch
from token_lms import make_clips, make_lm, make_source

from soundcodec_llmcodec import tokens as token_files
from soundcodec_llmcodec.cli.command_errors import CommandError
from soundcodec_llmcodec.cli.command_tree import run_command
from soundcodec_llmcodec.data.token_corpus import TokenClip, TokenSource, shard_name, write_shard, write_source
from soundcodec_llmcodec.lm.counted import NgramLM
from soundcodec_llmcodec.lm.lm_folder import TokenLMError
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.scores import CodecMismatchError

pytest.importorskip("pyarrow")


def write_corpus(folder, source, clips, split="train"):
    """A token corpus of one shard."""
    write_source(folder, source)
    rows = [TokenClip(str(i), clip.astype(np.int32), 320 * len(clip)) for i, clip in enumerate(clips)]
    write_shard(folder, shard_name(split, 0, 1), rows)
    return folder


@pytest.fixture
def corpus(tmp_path):
    """A folder with the splits train and validation."""
    folder = write_corpus(tmp_path / "tokens", make_source(), make_clips(40, 30))
    return write_corpus(folder, make_source(), make_clips(12, 1, 25, seed=1), "validation")


@pytest.fixture
def codec_folder(tiny_codec, tmp_path):
    """The tiny codec on disk."""
    tiny_codec.save_pretrained(tmp_path / "codec")
    return tmp_path / "codec"


def scored(capsys, *argv):
    """The rows of `lm score --json`."""
    assert run_command(["lm", "score", "--quiet", "--json", *map(str, argv)]) == 0
    return json.loads(capsys.readouterr().out)


def test_count_writes_what_can_be_loaded(corpus, tmp_path, capsys):
    assert run_command(["lm", "count", f"{corpus}:train", f"{corpus}:validation", "-o", str(tmp_path / "lm")]) == 0
    assert "trigram of 108 tokens in 5 clips" in capsys.readouterr().out
    clips = [*make_clips(40, 30), *make_clips(12, 1, 25, seed=1)]
    assert load_token_lm(tmp_path / "lm").identity == NgramLM.count(clips, make_source(), 3).identity
    assert run_command(["lm", "count", f"{corpus}:train", "-o", str(tmp_path / "lm"), "--order", "1"]) == 0
    assert load_token_lm(tmp_path / "lm").name == "unigram"


def test_counting_two_codecs_together_is_refused(corpus, tmp_path):
    other = write_corpus(tmp_path / "other", make_source(digit="b"), make_clips(9))
    with pytest.raises(CodecMismatchError, match="count each by itself"):
        run_command(["lm", "count", f"{corpus}:train", str(other), "-o", str(tmp_path / "lm")])
    assert not (tmp_path / "lm").exists()


def test_score_weighs_every_token_the_same(corpus, tmp_path, capsys):
    lm = make_lm()
    lm.save(tmp_path / "lm")
    rows = scored(capsys, f"{corpus}:validation", "--lm", "uniform", tmp_path / "lm")
    assert [(row["lm"], row["name"]) for row in rows] == [("uniform", "uniform"), (str(tmp_path / "lm"), "tiny")]
    assert rows[0]["bits_per_token"] == pytest.approx(math.log2(50), rel=1e-6)
    assert rows[0]["bits_per_second"] == pytest.approx(50 * math.log2(50), rel=1e-6)
    scores = lm.score(make_clips(12, 1, 25, seed=1))
    audio = np.concatenate([each.audio_nll for each in scores]).mean() / math.log(2)
    full = np.concatenate([each.full_nll for each in scores]).mean() / math.log(2)
    row = rows[1]
    assert (row["clips"], row["tokens"], row["prefix"]) == (3, 38, "bos")
    assert row["bits_per_token"] == pytest.approx(audio, abs=1e-6)
    assert row["bits_per_token_full"] == pytest.approx(full, abs=1e-6)
    assert row["perplexity"] == pytest.approx(2**audio, rel=1e-5)
    assert row["input"] == "tokens:validation"


def test_without_a_prefix_first_tokens_are_not_counted(corpus, tmp_path, capsys):
    make_lm(bos=None).save(tmp_path / "lm")
    row = scored(capsys, f"{corpus}:validation", "--lm", tmp_path / "lm")[0]
    assert (row["clips"], row["tokens"], row["prefix"]) == (3, 35, "none")


def test_the_table_has_a_row_an_input(corpus, tmp_path, capsys):
    run_command(["lm", "score", f"{corpus}:validation", f"{corpus}:train", "--lm", "uniform", "--quiet"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "bits/token (audio)" in lines[0]
    assert "bits/token (full)" in lines[0]
    assert lines[2].startswith("| tokens:validation | uniform | bos")
    assert lines[3].startswith("| tokens:train")
    assert len({len(line) for line in lines}) == 1


def test_inputs_behind_the_models_are_asked_for(corpus):
    """`--lm X INPUT` took INPUT for a model and blamed the lack of another."""
    with pytest.raises(CommandError, match="before --lm, which takes every word"):
        run_command(["lm", "score", "--lm", "uniform", f"{corpus}:validation"])


def test_sound_and_token_files_have_the_codecs_tokens(tiny_codec, codec_folder, tmp_path, noise, capsys):
    soundfile.write(tmp_path / "a.wav", noise(8_000).numpy(), 16_000)
    tokens = tiny_codec.encode(str(tmp_path / "a.wav"))
    token_files.save(tokens, tmp_path / "a.llmc")
    source = TokenSource.of(tiny_codec)
    lm = NgramLM.count([np.arange(100)], source, 2)
    lm.save(tmp_path / "lm")
    rows = scored(capsys, tmp_path / "a.wav", tmp_path / "a.llmc", "--lm", tmp_path / "lm", "--codec", codec_folder)
    expected = lm.score([tokens.codes[0, 0].numpy()])[0].audio_nll.mean() / math.log(2)
    assert [row["bits_per_token"] for row in rows] == pytest.approx([expected] * 2)
    assert [row["input"] for row in rows] == ["a.wav", "a.llmc"]
    # The default codec has other tokens.
    with pytest.raises(CodecMismatchError, match="take the codec that it was trained with"):
        run_command(["lm", "score", str(tmp_path / "a.wav"), "--lm", str(tmp_path / "lm"), "--quiet"])


def test_continue_writes_the_prompt_and_what_follows(tiny_codec, codec_folder, tmp_path, noise, capsys):
    soundfile.write(tmp_path / "a.wav", np.stack([noise(8_000, 1).numpy(), noise(8_000, 2).numpy()], axis=1), 16_000)
    make_lm(source=TokenSource.of(tiny_codec)).save(tmp_path / "lm")
    base = ["lm", "continue", str(tmp_path / "a.wav"), "--codec", str(codec_folder), "--lm", str(tmp_path / "lm")]
    assert run_command([*base, "-o", str(tmp_path / "b.wav"), "--seconds", "0.5"]) == 0
    assert "0.50 s, then 0.50 s (25 tokens; the time was up)" in capsys.readouterr().out
    whole, rate = soundfile.read(tmp_path / "b.wav")
    assert (whole.shape, rate) == ((16_000,), 16_000)
    only = [*base, "-o", str(tmp_path / "c.wav"), "--seconds", "0.5", "--continuation-only", "--quiet"]
    assert run_command(only) == 0
    assert np.array_equal(soundfile.read(tmp_path / "c.wav")[0], whole[8_000:])
    short = [*base, "-o", str(tmp_path / "d.wav"), "--seconds", "0.2", "--prompt-seconds", "0.11", "--seed", "5"]
    assert run_command(short) == 0
    assert "0.10 s, then 0.20 s" in capsys.readouterr().out


def save_undecided_lm(folder, codec):
    """A model of the codec's tokens for which everything, the end too, is equally likely."""
    lm = make_lm("qwen3_untied", source=TokenSource.of(codec))
    with torch.no_grad():
        lm.model.model.norm.weight.zero_()
        lm.model.lm_head.weight.zero_()
    lm.save(folder)


def test_a_recording_goes_on_for_the_time_asked(tiny_codec, codec_folder, tmp_path, noise, capsys):
    """By a model for which the end is as likely as anything: it ends nothing unless it may."""
    soundfile.write(tmp_path / "a.wav", noise(8_000).numpy(), 16_000)
    save_undecided_lm(tmp_path / "lm", tiny_codec)
    base = ["lm", "continue", str(tmp_path / "a.wav"), "--codec", str(codec_folder), "--lm", str(tmp_path / "lm")]
    base += ["-o", str(tmp_path / "b.wav"), "--seconds", "0.4", "--temperature", "0"]
    assert run_command(base) == 0
    assert "0.50 s, then 0.40 s (20 tokens; the time was up)" in capsys.readouterr().out
    assert run_command([*base, "--no-end"]) == 0  # as before
    with pytest.raises(SystemExit):
        run_command([*base, "--no-end", "--may-end"])


def test_continue_refuses_what_cannot_go_on(tiny_codec, codec_folder, tmp_path, noise):
    soundfile.write(tmp_path / "a.wav", noise(8_000).numpy(), 16_000)
    NgramLM.count([np.arange(9)], TokenSource.of(tiny_codec), 1).save(tmp_path / "lm")
    base = ["lm", "continue", str(tmp_path / "a.wav"), "--codec", str(codec_folder), "--lm", str(tmp_path / "lm")]
    with pytest.raises(CommandError, match="unigram only scores"):
        run_command([*base, "-o", str(tmp_path / "b.wav")])
    with pytest.raises(ValueError, match=r"b\.txt"):
        run_command([*base, "-o", str(tmp_path / "b.txt")])
    with pytest.raises(CommandError, match="there is no file"):
        run_command(["lm", "continue", str(tmp_path / "none.wav"), "-o", str(tmp_path / "b.wav")])
    assert not (tmp_path / "b.wav").exists()


def test_a_clip_that_ends_at_once_is_no_empty_file(tiny_codec, codec_folder, tmp_path, noise):
    soundfile.write(tmp_path / "a.wav", noise(8_000).numpy(), 16_000)
    save_undecided_lm(tmp_path / "lm", tiny_codec)
    base = ["lm", "continue", str(tmp_path / "a.wav"), "--codec", str(codec_folder), "--lm", str(tmp_path / "lm")]
    base.append("--may-end")
    # All logits are 0, and the first of the allowed rows is the end.
    for only in ([], ["--continuation-only"]):
        with pytest.raises(CommandError, match="adds nothing; take a shorter prompt"):
            run_command([*base, "-o", str(tmp_path / "b.wav"), "--temperature", "0", "--seconds", "0.2", *only])
        assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize("option", ["--seconds", "--prompt-seconds"])
@pytest.mark.parametrize("value", ["nan", "0", "-1", "inf"])
def test_times_that_are_none_are_named(tmp_path, option, value):
    with pytest.raises(CommandError, match=f"expected {option} above 0"):
        run_command(["lm", "continue", str(tmp_path / "a.wav"), "-o", str(tmp_path / "b.wav"), f"{option}={value}"])


def test_a_model_of_another_kind_is_not_overwritten(tmp_path, corpus):
    lm = make_lm("qwen3_untied", source=make_source())
    lm.save(tmp_path / "lm")
    with pytest.raises(TokenLMError, match="would lose it; take another folder"):
        run_command(["lm", "count", f"{corpus}:train", "-o", str(tmp_path / "lm")])
    assert load_token_lm(tmp_path / "lm").identity == lm.identity


@pytest.mark.parametrize(
    ("argv", "error", "message"),
    [
        (["lm", "score", "missing.wav"], CommandError, "there is no file"),
        (["lm", "score", "nowhere:train"], ValueError, "no token corpus"),
        (["lm", "score", "CORPUS:train", "--lm", "bigram"], TokenLMError, "lm count"),
        (["lm", "score", "CORPUS:train", "--batch-tokens", "0"], CommandError, "--batch-tokens"),
        (["lm", "count", "CORPUS:other", "-o", "x"], ValueError, "no split"),
    ],
)
def test_errors_say_what_to_do(argv, error, message, corpus):
    with pytest.raises(error, match=message):
        run_command([text.replace("CORPUS", str(corpus)) for text in argv])
