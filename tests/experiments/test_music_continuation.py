"""Music that goes on: the split, the prompts, and the program from its corpora to its table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from eval.sets import set_embeddings
from eval.sets.set_embeddings import SetEmbedding
from experiments.semantic.music_continuation import main
from experiments.semantic.music_prompts import (
    HELD_OUT,
    TRAIN,
    VALIDATION,
    MusicSplit,
    PromptLengths,
    held_out_prompts,
)
from experiments.semantic.music_rows import ContinuationJournal, EmbeddedClip, MusicRow
from experiments.semantic.music_table import row_distance
from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.data.datasets import open_dataset
from soundcodec_llmcodec.data.token_corpus import TokenCorpus, TokenSource
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.continuation import Sampling
from soundcodec_llmcodec.lm.counted import UniformLM
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.vocabulary import TokenSpec

RATE = 16_000
IDS = [f"piece{index}-{excerpt}" for index in range(20) for excerpt in range(2)]
# The parts of piece0-0, piece1-0 and so on.
EXPECTED = [TRAIN, TRAIN, TRAIN, TRAIN, TRAIN, TRAIN, TRAIN, TRAIN, TRAIN, TRAIN, HELD_OUT, TRAIN]
SHORT = ["--prompt-s", "0.1", "--continue-s", "0.1", "--held-out", "0.5", "--quiet"]


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Two excerpts of 20 pieces, a chord each, 0.5 s."""
    folder = tmp_path_factory.mktemp("music") / "pieces"
    folder.mkdir()
    for index, name in enumerate(IDS):
        time = np.arange(RATE // 2) / RATE
        chord = sum(np.sin(2 * np.pi * 110 * 2 ** ((index // 2 + step) / 12) * time) for step in (0, 4, 7))
        soundfile.write(folder / f"{name}.wav", 0.2 * chord, RATE)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory, tiny_codec):
    """A tiny codec and a tiny random language model over its tokens, as their programs leave them."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models")
    checkpoints.save(folder / "codec", tiny_codec.config, tiny_codec.model)
    codec = LLMCodec.from_pretrained(str(folder / "codec"))
    source = TokenSource.of(codec)
    config = transformers.GPT2Config(
        vocab_size=source.vocabulary_size + 2, n_positions=64, n_embd=16, n_layer=1, n_head=2
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    spec = TokenSpec(2, source.vocabulary_size)
    NeuralTokenLM(model, spec, source, bos_id=0, eos_id=1, name="tiny").save(folder / "lm")
    return folder


@pytest.fixture
def toy(monkeypatch):
    """An embedding of loudness and of zero crossings."""

    def heard(samples: np.ndarray) -> np.ndarray:
        return np.array([[np.std(samples), np.mean(np.diff(np.sign(samples)) != 0)]], np.float32)

    embedding = SetEmbedding("toy", "loudness and zero crossings", 2, RATE, heard)
    monkeypatch.setattr(set_embeddings, "EMBEDDINGS", {"toy": embedding})
    return ["--embedding", "toy"]


def test_the_split_is_disjoint_stable_and_by_recording():
    split = MusicSplit()
    ids = [f"piece{index}-{excerpt}" for index in range(400) for excerpt in range(3)]
    parts = {name: split.part_of(name) for name in ids}
    assert all(len({parts[f"piece{index}-{excerpt}"] for excerpt in range(3)}) == 1 for index in range(400))
    shares = {part: sum(value == part for value in parts.values()) / len(ids) for part in (TRAIN, VALIDATION, HELD_OUT)}
    assert shares[HELD_OUT] == pytest.approx(0.2, abs=0.06)
    assert shares[VALIDATION] == pytest.approx(0.05, abs=0.03)
    # A corpus that was written with one version is held apart by all later ones.
    assert [split.part_of(f"piece{index}-0") for index in range(12)] == EXPECTED
    # Who is held out stays so when more are.
    more = MusicSplit(held_out=0.4)
    assert all(more.part_of(name) == HELD_OUT for name, part in parts.items() if part == HELD_OUT)


@pytest.mark.parametrize(
    ("clip_id", "recording"),
    [
        ("music-Honor_Bound-1", "music-Honor_Bound"),
        ("sound-4-157611-B-0", "sound-4-157611"),
        ("Track_12", "Track"),
        ("1089-134686-0037", "1089-134686-0037"),
        ("7", "7"),
    ],
)
def test_a_recording_is_the_id_without_the_excerpts_number(clip_id, recording):
    assert MusicSplit().recording_of(clip_id) == recording


def test_a_recording_may_be_named_by_another_pattern():
    split = MusicSplit(recording=r"([a-z]+)\d.*")
    assert split.recording_of("song12b") == "song"
    assert split.recording_of("12") == "12"
    with pytest.raises(ValueError, match="a group that names the recording"):
        MusicSplit(recording="song")
    with pytest.raises(ValueError, match="leave some to train on"):
        MusicSplit(held_out=0.9, validation=0.2)


def test_prompts_are_crops_side_by_side_of_held_out_clips_alone(music):
    split, lengths = MusicSplit(held_out=0.5), PromptLengths(0.1, 0.1, crops=2)
    held = held_out_prompts(open_dataset(str(music)), split, lengths, None)
    names = [prompt.prompt_id for prompt in held.prompts]
    expected = [name for name in IDS if split.part_of(name) == HELD_OUT]
    assert sorted(names) == sorted(f"{name}@{start}s" for name in expected for start in ("0", "0.2"))
    first, second = held.prompts[:2]
    whole, _ = soundfile.read(music / f"{names[0].partition('@')[0]}.wav", dtype="float32")
    assert np.array_equal(np.concatenate([first.samples, second.samples]), whole[: 2 * 3_200])
    long = held_out_prompts(open_dataset(str(music)), split, PromptLengths(0.3, 0.3), None)
    assert (len(long.prompts), long.too_short) == (0, len(expected))
    with pytest.raises(ValueError, match=f"got 0 of 0 \\({len(expected)} held-out clips are too short"):
        long.check()


def test_the_continuation_is_of_the_prompt_alone_and_as_long_as_the_truth(music, models):
    codec = LLMCodec.from_pretrained(str(models / "codec"))
    lengths, sampling = PromptLengths(0.2, 0.2), Sampling(seed=3)
    prompts = held_out_prompts(open_dataset(str(music)), MusicSplit(held_out=0.5), lengths, 2).prompts
    lms = [NeuralTokenLM.load(models / "lm"), UniformLM(TokenSource.of(codec).vocabulary_size)]
    for lm in lms:
        row = MusicRow("a", codec, lm)
        truth, continued = row.truth(prompts[0], lengths), row.continuation(prompts[0], lengths, sampling)
        assert len(truth) == len(continued) == 3_200
        # What follows the prompt is not seen.
        changed = prompts[0].samples.copy()
        changed[3_200:] = 0
        other = type(prompts[0])(prompts[0].prompt_id, "", changed, RATE)
        assert np.array_equal(row.continuation(other, lengths, sampling), continued)
        assert not np.array_equal(row.truth(other, lengths), truth)
        assert not np.array_equal(row.continuation(prompts[0], lengths, Sampling(seed=4)), continued)


def test_a_perfect_model_is_at_zero_and_a_wrong_one_is_not():
    items = np.random.default_rng(0).normal(size=(40, 1, 2)).astype(np.float32)
    truth = [EmbeddedClip("a", None, str(i), str(i // 2), item) for i, item in enumerate(items)]
    right = [EmbeddedClip("a", 0, str(i), str(i // 2), item) for i, item in enumerate(items)]
    wrong = [EmbeddedClip("a", 0, str(i), str(i // 2), item + 2) for i, item in enumerate(items)]
    assert row_distance({}, [*truth, *right], [0]).distance.value == pytest.approx(0, abs=1e-9)
    assert row_distance({}, [*truth, *wrong], [0]).distance.value == pytest.approx(8, abs=1e-4)
    few = row_distance({}, [*truth[:10], *right[:10]], [0])
    assert few.distance is None
    assert "at least 16 items" in few.reason


def test_from_corpora_to_the_table_and_on_again(music, models, toy, tmp_path, capsys, monkeypatch):
    data = ["--dataset", str(music), "--codec", f"a={models / 'codec'}", *SHORT]
    assert main([*data, "--validation", "0.2", "--write-tokens", str(tmp_path / "tokens")]) == 0
    split = MusicSplit(held_out=0.5, validation=0.2)
    for part in (TRAIN, VALIDATION):
        written = {clip.clip_id for clip in TokenCorpus.open(f"{tmp_path / 'tokens' / 'a'}:{part}").clips()}
        assert written == {name for name in IDS if split.part_of(name) == part}
    out = tmp_path / "run"
    run = [*data, "--lm", f"a={models / 'lm'}", "--codec", f"noise={models / 'codec'}", "--lm", "noise=uniform"]
    run += [*toy, "--output", str(out), "--seeds", "0", "1"]
    assert main(run) == 0
    results = json.loads((out / "results.json").read_text())
    held = [name for name in IDS if split.part_of(name) == HELD_OUT]
    n = 2 * len(held)
    assert [row["name"] for row in results["rows"]] == ["a", "noise"]
    for row in results["rows"]:
        assert row["distance"]["n"] == row["distance"]["n_true"] == n
        assert row["distance"]["groups"] == len({split.recording_of(name) for name in held})
        assert row["distance"]["low"] < row["distance"]["corrected"] < row["distance"]["high"]
        assert row["floor"]["n"] + row["floor"]["n_true"] == n
    assert results["for_reporting"]
    assert "| a | tiny |" in (out / "table.md").read_text()
    assert len((out / "continuations.jsonl").read_text().splitlines()) == 2 * 3 * n
    # Stopped: half of the journal is gone, and a line is torn. What is there is not made again.
    journal = out / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:40]) + lines[40][:20])
    added: list[EmbeddedClip] = []
    add = ContinuationJournal.add
    monkeypatch.setattr(ContinuationJournal, "add", lambda self, clip: (added.append(clip), add(self, clip)))
    assert main(run) == 0
    assert len(added) == 2 * 3 * n - 39
    assert json.loads((out / "results.json").read_text())["rows"] == results["rows"]
    # Another run does not mix with it.
    assert main([*run, "--temperature", "0.5"]) == 2
    assert "cannot be resumed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--codec", "b"], "expected --codec NAME=FOLDER"),
        (["--lm", "b=x", "--output", "out"], "expected one --lm for each --codec"),
        (["--lm", "a=uniform"], "expected either --output, or --write-tokens"),
        (["--lm", "a=uniform", "--output", "out", "--embedding", "vggish"], "no embedding is called 'vggish'"),
        (["--lm", "a=uniform", "--output", "out", "--seeds", "1", "1"], "different --seeds"),
        (
            ["--lm", "a=uniform", "--output", "out", "--embedding", "mel-statistics", "--limit", "5"],
            "at least 16 prompts",
        ),
    ],
)
def test_wrong_options_are_said_before_anything_is_made(options, message, music, models, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["--dataset", str(music), "--codec", f"a={models / 'codec'}", *SHORT, *options]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()
