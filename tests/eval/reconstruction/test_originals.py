"""The row of the originals: what a recogniser hears in the clips themselves, wherever its words are counted."""

from __future__ import annotations

import json

import pytest

from eval.harness.statistics import column
from eval.reconstruction import reconstruction_command, reconstruction_run, reconstruction_table, report, scoring
from eval.reconstruction.clip_journal import ClipJournal
from eval.reconstruction.clip_samples import ClipSamples
from eval.reconstruction.metrics import Score, named
from eval.reconstruction.metrics.recogniser import Recogniser
from eval.reconstruction.score_cache import Cache
from eval.reconstruction.scoring import Job, Scorer


@pytest.fixture
def heard(monkeypatch):
    """A recogniser that hears one word too few in anything, and none in what is quieter than half; what it heard."""
    calls = []

    def transcribe(self, signal, language):
        peak = float(abs(signal.samples).max())
        calls.append((self.name, peak))
        return "the cat sat" if peak > 0.1 else ""

    monkeypatch.setattr(Recogniser, "unusable", lambda self, reference: None)
    monkeypatch.setattr(Recogniser, "_transcribe", transcribe)
    return calls


@pytest.fixture
def said(small, monkeypatch):
    """A data set in which the same four words are said in each clip."""
    clips = type(small).clips

    def with_text(self, split, limit=None):
        for clip in clips(self, split, limit):
            object.__setattr__(clip, "text", "the cat sat down")
            object.__setattr__(clip, "lang", "en")
            yield clip

    monkeypatch.setattr(type(small), "clips", with_text)
    return small


def run(plan, **parts):
    with Scorer(0) as scorer:
        return reconstruction_run.run(plan, scorer, **parts)


METRICS = named(["stft", "wer", "dwer", "cer@whisper-base"])


def test_the_originals_are_heard_once_and_are_no_model(said, plan, fake_codec, heard, tmp_path):
    quiet = [fake_codec(name, lambda x: 0.01 * x) for name in ("a", "b")]
    outcome = run(plan(quiet, said, metrics=METRICS), samples=ClipSamples(tmp_path, 1))
    assert [model.info.name for model in outcome.models] == ["a", "b"]
    clips = outcome.originals.overall.clips
    assert len(clips) == 5
    for clip in clips:
        assert clip.scores == {"wer": Score(0.25, weight=4.0), "cer@whisper-base": Score(4 / 13, weight=13.0)}
    # Five clips: each recogniser hears the original once, whatever asks for it, and each of two codecs once.
    for name in ("whisper-tiny", "whisper-base"):
        assert len([call for call in heard if call[0] == name]) == 5 * 3
    assert not list(tmp_path.rglob("*originals*"))


def test_there_are_none_where_no_metric_has_a_floor(small, plan, fake_codec):
    outcome = run(plan([fake_codec("a", lambda x: x)], small, metrics=named(["stft", "stoi"])))
    assert outcome.originals is None
    (table, *_) = reconstruction_table.tables(outcome, None)
    assert list(table.frame["model"]) == ["a"]


def test_a_resumed_run_and_a_cache_have_them(said, plan, fake_codec, heard, tmp_path):
    def codec():
        return fake_codec("a", lambda x: 0.01 * x)

    with ClipJournal(tmp_path, {}, resume=False) as journal, Cache(tmp_path, "environment") as cache:
        first = run(plan([codec()], said, metrics=METRICS), journal=journal, cache=cache)
    before = len(heard)
    with ClipJournal(tmp_path, {}, resume=True) as journal:
        resumed = run(plan([codec()], said, metrics=METRICS), journal=journal)
    with Cache(tmp_path, "environment") as cache:
        cached = run(plan([codec()], said, metrics=METRICS), cache=cache)
        # Another codec on the same clips: the originals are known.
        run(plan([fake_codec("b", lambda x: 0.02 * x)], said, metrics=named(["wer"])), cache=cache)
    assert resumed.originals == first.originals
    assert cached.originals.overall.clips == first.originals.overall.clips
    assert len(heard) == before + 5


def test_a_clip_that_cannot_be_read_has_no_value(said, plan, fake_codec, heard, monkeypatch):
    clips = type(said).clips

    def one_broken(self, split, limit=None):
        for clip in clips(self, split, limit):
            if clip.clip_id == "speech-02":
                object.__setattr__(clip, "problem", "unreadable")
            yield clip

    monkeypatch.setattr(type(said), "clips", one_broken)
    outcome = run(plan([fake_codec("a", lambda x: x)], said, metrics=METRICS))
    (broken,) = outcome.originals.overall.failures
    assert (broken.clip_id, broken.scores["wer"]) == ("speech-02", Score(reason="no reconstruction: unreadable"))


def test_their_name_is_taken(small, plan, fake_codec):
    with pytest.raises(ValueError, match="'originals' is the name of the clips themselves"):
        plan([fake_codec("originals", lambda x: x)], small)


def test_they_change_nothing_for_the_models():
    scores = {
        "x": {
            "a": Score(0.5, weight=4.0),
            "b": Score(0.2, weight=10.0),
            "c": Score(0.9),
            "d": Score(0.3),
            "e": Score(1.0),
        },
        "y": {"a": Score(0.7, weight=4.0), "b": Score(0.1, weight=10.0), "c": Score(reason="x"), "d": Score(0.4)},
    }
    scores["y"]["e"] = Score(0.8)
    floor = {"a": Score(0.25, weight=4.0), "b": Score(reason="died"), "c": Score(9.0), "d": Score(0.1), "e": Score(0.0)}
    alone, beside = column(scores, "x"), column(scores, "x", floor)
    assert (beside.summaries, beside.comparisons) == (alone.summaries, alone.comparisons)
    assert alone.originals is None
    # Over the models' clips only, by their weights: c is not among them.
    assert beside.originals.mean == pytest.approx((0.25 * 4 + 0.1) / 6)
    assert (beside.originals.n, beside.originals.failed) == (3, 1)
    refused = {name: dict.fromkeys("abcde", Score(reason="no text")) for name in "xy"}
    assert column(refused, "x", floor).originals.refused == "no clip has a value from every model and the original"


def test_where_workers_die_only_metrics_with_a_floor_are_asked_of_them(speech, heard, monkeypatch):
    clip = speech[0]
    job = Job(
        clip.samples, clip.rate, {"originals": clip.samples, "x": clip.samples}, ("stft", "wer"), "the cat sat", "en"
    )
    assert {model: list(scores) for model, scores in scoring.score(job).items()} == {
        "originals": ["wer"],
        "x": ["stft", "wer"],
    }
    scorer = Scorer(0)

    def die(job):
        raise scoring.BrokenProcessPool

    monkeypatch.setattr(scorer, "_once", die)
    assert scorer._alone(job) == {"originals": {"wer": scoring.DIED}, "x": {"stft": scoring.DIED, "wer": scoring.DIED}}


def test_they_are_in_all_that_a_run_leaves(tmp_path, with_codecs, fake_codec, heard, capsys):
    """The mini set's speech has texts, of which the recogniser hears three words."""
    with_codecs(**{name: lambda name=name: fake_codec(name, lambda x: 0.001 * x) for name in ("one", "two")})
    arguments = ["--models", "one", "two", "--splits", "Speech", "--limit", "3", "--by-source", "--wide"]
    arguments += ["--metrics", "stft", "wer@whisper-base"]
    assert reconstruction_command.main([*arguments, "--workers", "0", "--quiet", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    rows = [line.split("|") for line in printed.splitlines() if line.startswith("| originals")]
    assert len(rows) == 1
    cells = [cell.strip() for cell in rows[0][1:-1]]
    contents = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    floor = contents["originals"]["splits"]["Speech"]
    assert cells[:2] == ["originals", "-"]
    assert next(cell for cell in cells[2:] if cell != "-") == str(floor["n"]) == "3"
    assert f"{floor['metrics']['wer@whisper-base']['mean']:.3f} ±" in rows[0][-5]
    assert list(floor["metrics"]) == ["wer@whisper-base"]
    assert sum(part["n"] for part in floor["sources"].values()) == 3
    assert "| originals " in printed.split("by source")[1]
    assert "wer@whisper-base by whisper-base (words: NFKC, lower case, no punctuation)" in printed
    assert contents["metrics"]["wer@whisper-base"]["judge"].startswith("whisper-base")
    assert [model["name"] for model in contents["models"]] == ["one", "two"]
    assert set(contents["models"][1]["splits"]["Speech"]["against_baseline"]) == {"stft", "wer@whisper-base"}
    lines = [json.loads(line) for line in (tmp_path / "clips.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [list(line["scores"]) for line in lines if line["model"] == "originals"] == [["wer@whisper-base"]] * 3
    page = report.build(tmp_path)
    assert "what the recogniser hears in them" in page
    assert page.count('<span class="name">originals</span>') == 1
    assert "Judge: whisper-base" in page.replace("</dd>", "")


def test_capped_word_errors_stand_beside_the_others_in_tables_and_pages(
    tmp_path, with_codecs, fake_codec, monkeypatch, capsys
):
    """The recogniser hears one word in the clips, and repeats itself in what is quiet."""
    monkeypatch.setattr(Recogniser, "unusable", lambda self, reference: None)
    monkeypatch.setattr(
        Recogniser, "_transcribe", lambda self, signal, language: "x " * (1 if abs(signal.samples).max() > 0.1 else 99)
    )
    with_codecs(one=lambda: fake_codec("one", lambda x: 0.001 * x))
    arguments = ["--models", "one", "--splits", "Speech", "--limit", "3", "--workers", "0", "--quiet", "--wide"]
    arguments += ["--metrics", "wer@whisper-base", "wer_capped@whisper-base", "--output", str(tmp_path)]
    assert reconstruction_command.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "- wer@whisper-base: not capped: a clip is above 1" in printed
    assert "- wer_capped@whisper-base: each clip at most 1" in printed
    contents = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    (model,) = contents["models"]
    found = model["splits"]["Speech"]["metrics"]
    assert found["wer@whisper-base"]["mean"] > 5
    assert found["wer_capped@whisper-base"]["mean"] == 1.0
    # No clip of the originals is above 1, so that both are the same.
    floor = contents["originals"]["splits"]["Speech"]["metrics"]
    assert list(floor) == ["wer@whisper-base", "wer_capped@whisper-base"]
    assert floor["wer@whisper-base"] == floor["wer_capped@whisper-base"]
    page = report.build(tmp_path)
    for name in floor:
        assert f"<dt>{name}</dt>" in page
    assert "said; each clip at most 1" in page
    assert "not capped: a clip is above 1 where more was heard than said" in page
