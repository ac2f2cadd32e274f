"""A toy model that learned four sentences by heart speaks them token by token, with and without a voice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile
import torch
from spoken_sentences import SENTENCES, spoken, write_spoken

from soundcodec_llmcodec.cli.command_tree import run_command
from soundcodec_llmcodec.lm import speaking
from soundcodec_llmcodec.lm.characters import TextError
from soundcodec_llmcodec.lm.continuation import Sampling, continue_tokens
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.scores import CodecMismatchError
from soundcodec_llmcodec.lm.training.lm_config import make_config
from soundcodec_llmcodec.lm.training.lm_export import export_run
from soundcodec_llmcodec.lm.training.lm_trainer import LMTrainer

GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def lm_folder(source, tmp_path_factory):
    """A model that knows SENTENCES by heart, and a fifth that is the first two together."""
    folder = tmp_path_factory.mktemp("speaking")
    write_spoken(folder / "tokens", source, (*SENTENCES, f"{SENTENCES[0]} {SENTENCES[1]}"))
    config = make_config(
        {
            "tokens": [f"{folder / 'tokens'}:train"],
            "text": {"kind": "characters"},
            "scratch": {"layers": 2, "width": 32, "heads": 2, "max_positions": 128},
            "optimizer": {"learning_rate": 1e-2, "final_learning_rate": 1e-3, "warmup": 5, "weight_decay": 0.0},
            "steps": 120,
            "row_tokens": 128,
            "batch_rows": 2,
            "log_every": 100,
            "checkpoint_every": 120,
        }
    )
    LMTrainer(config, folder / "run", progress=False).run()
    export_run(folder / "run", folder / "lm", "last")
    return folder / "lm"


@pytest.fixture
def lm(lm_folder):
    return load_token_lm(lm_folder)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_what_was_learned_by_heart_is_spoken_token_by_token(lm, source, sentence):
    said = speaking.speak_tokens(lm, sentence.upper(), GREEDY, most=60)
    assert np.array_equal(said.tokens, spoken(sentence, source.vocabulary_size))
    assert said.ended
    assert said.nats < 0.2


def test_a_voice_is_gone_on_from(lm, source):
    """The text is the prompt's and the new one, the tokens go on from the prompt's, and only new ones come back."""
    size = source.vocabulary_size
    whole = spoken(f"{SENTENCES[0]} {SENTENCES[1]}", size)
    first = len(spoken(f"{SENTENCES[0]} ", size))
    said = speaking.speak_tokens(
        lm, SENTENCES[1], GREEDY, most=60, prompt=whole[:first].astype(np.int64), prompt_text=SENTENCES[0]
    )
    assert np.array_equal(said.tokens, whole[first:])
    assert said.ended


def test_speech_is_the_tokens_decoded_without_the_voice(lm, tiny_codec, noise):
    said = speaking.speak(tiny_codec, lm, "cab", temperature=0)
    assert np.array_equal(said.audio, tiny_codec.decode(said.tokens))
    assert (said.rate, said.audio.dtype) == (16_000, np.float32)
    samples = noise(3_300)
    longer = speaking.speak(
        tiny_codec, lm, "cab", voice=samples, voice_rate=16_000, voice_text="a", seed=1, longest_s=1
    )
    prompt = tiny_codec.encode(samples, 16_000).codes[0, :, :10]
    whole = tiny_codec.decode(torch.cat((prompt, torch.tensor(longer.tokens)[None]), dim=1))
    assert np.array_equal(longer.audio, whole[10 * 320 :])
    assert len(longer.audio) == 320 * len(longer.tokens)


def test_one_seed_is_one_reading_and_tries_keep_the_likeliest(lm):
    hot = Sampling(temperature=2.0, seed=3)
    singles = [speaking.speak_tokens(lm, "dab", dataclasses.replace(hot, seed=s), most=80) for s in (3, 4, 5)]
    again = speaking.speak_tokens(lm, "dab", hot, most=80)
    assert np.array_equal(again.tokens, singles[0].tokens)
    best = speaking.speak_tokens(lm, "dab", hot, most=80, tries=3)
    expected = min(singles, key=lambda said: (not said.ended, said.nats))
    assert (best.seed, best.nats) == (expected.seed, expected.nats)
    assert len({said.nats for said in singles}) == 3


def test_a_reading_that_does_not_end_is_cut(lm):
    said = speaking.speak_tokens(lm, SENTENCES[0], GREEDY, most=4)
    assert (len(said.tokens), said.ended) == (4, False)
    with pytest.raises(ValueError, match="at most 128 positions"):
        speaking.speak_tokens(lm, "a" * 130, GREEDY, most=4)


def test_what_cannot_be_spoken_is_refused(lm, tiny_codec, source):
    with pytest.raises(TextError, match="'x'"):
        speaking.speak_tokens(lm, "ax", GREEDY, most=4)
    assert speaking.speak_tokens(lm, "c,ab!", GREEDY, most=4).dropped == "!,"
    with pytest.raises(ValueError, match="both voice and voice_text"):
        speaking.speak(tiny_codec, lm, "cab", voice_text="a")
    with pytest.raises(ValueError, match="speaks text"):
        continue_tokens(lm, np.array([1, 2]), 4, GREEDY)
    mute = load_token_lm("bundled")
    with pytest.raises(ValueError, match=r"cannot speak text.*text\.kind=characters"):
        speaking.speak_tokens(mute, "cab", GREEDY, most=4)
    with pytest.raises(CodecMismatchError):
        speaking.speak(tiny_codec, mute, "cab")


def test_the_command_speaks(lm_folder, codec_folder, tmp_path, capsys):
    out = tmp_path / "out.wav"
    command = ["lm", "speak", "Cab!", "-o", str(out), "--lm", str(lm_folder), "--codec", str(codec_folder)]
    assert run_command([*command, "--temperature", "0"]) == 0
    printed = capsys.readouterr()
    assert "left out" in printed.err
    assert "'!'" in printed.err
    samples, rate = soundfile.read(out)
    assert (len(samples) % 320, rate) == (0, 16_000)
    assert f"{len(samples) // 320} tokens" in printed.out
    assert run_command([*command, "--temperature", "0", "--seconds", "0.06", "--quiet"]) == 0
    assert "cut after 0.1 s" in capsys.readouterr().err
    assert len(soundfile.read(out)[0]) == 3 * 320
    with pytest.raises(ValueError, match="--voice-text go together"):
        run_command([*command, "--voice", str(out)])
    with pytest.raises(ValueError, match="there is no file"):
        run_command([*command, "--voice", str(tmp_path / "no.wav"), "--voice-text", "a"])
