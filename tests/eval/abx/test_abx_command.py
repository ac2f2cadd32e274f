"""The command: what it prints, writes, takes back, refuses and exits with."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eval.abx import abx_command, ctc_phones
from eval.abx.abx_command import main
from eval.abx.abx_items import CONDITIONS
from eval.representations.log_mel import LogMel
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec

RATE = 16_000
# Phones of one pure tone each, which a spectrum tells apart without error.
HERTZ = {"a": 300.0, "b": 1100.0, "t": 3100.0}
WORDS = ("abtabt", "batbat", "tabbta", "atbtba")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """A data set of tones by three speakers of two corpora and one without a name, and its alignments."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    rows, aligned = [], []
    for speaker, corpus in (("x", "one"), ("y", "one"), ("z", "two"), (None, "one")):
        for number, word in enumerate(WORDS):
            samples = np.concatenate([np.sin(2 * np.pi * HERTZ[phone] * np.arange(1600) / RATE) for phone in word])
            samples = 0.3 * samples + 0.001 * rng.standard_normal(len(samples))
            clip_id = f"{speaker}-{number}"
            array = {"array": samples.astype(np.float32), "sampling_rate": RATE}
            rows.append({"id": clip_id, "audio": array, "speaker_id": speaker, "corpus": corpus})
            aligned += [(clip_id, f"{0.1 * i:.2f}", f"{0.1 * (i + 1):.2f}", phone) for i, phone in enumerate(word)]
    columns = {name: [row[name] for row in rows] for name in ("id", "speaker_id", "corpus")}
    audio = [{"array": row["audio"]["array"].tolist(), "sampling_rate": RATE} for row in rows]
    pq.write_table(pa.table({**columns, "audio": audio}), folder / "validation-00000-of-00001.parquet")
    with (folder.parent / "phones.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("clip_id", "start", "end", "phone"), *aligned])
    return folder


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "tiny2"
    config = CodecConfig.from_dict({**CodecConfig.preset("tiny").to_dict(), "num_quantizers": 2})
    LLMCodec.random(config).save_pretrained(folder)
    return folder


def command(spoken, *more):
    return ["--dataset", str(spoken), "--alignments", str(spoken.parent / "phones.csv"), "--quiet", *more]


def test_a_run_prints_and_writes_its_figures(spoken, codec, tmp_path, capsys):
    out = tmp_path / "out"
    models = ["mel", f"both={codec}", f"first={codec}@1", f"features={codec}:continuous", f"chance=random:{codec}"]
    assert main(command(spoken, "--models", *models, "--output", str(out), "--wide")) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("## Phonetic discriminability (ABX): ")
    assert (out / "table.md").read_text(encoding="utf-8") == printed
    assert "4 clips have no speaker and were left out" in printed
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (document["schema"], document["schema_version"]) == ("soundcodec-llmcodec/abx", 1)
    assert (document["dataset"]["clips"], document["dataset"]["without_speaker"]) == (12, 4)
    rows = {(row["condition"], row["model"]): row for row in document["rows"]}
    assert len(rows) == 2 * len(models)
    mel, chance = rows["any", "mel"], rows["any", "chance"]
    assert (mel["within"]["error"], mel["across"]["error"]) == (0.0, 0.0)
    assert chance["across"]["error"] == pytest.approx(0.5, abs=0.1)
    assert chance["across"]["difference"]["mean"] == pytest.approx(chance["across"]["error"])
    # Eight instances of each phone and speaker.
    assert mel["within"]["triplets"] == 3 * 6 * 8 * 7 * 8
    assert (mel["within"]["pairs"], mel["within"]["speakers"], mel["across"]["triplets"]) == (6, 3, 6 * 6 * 8 * 8 * 8)
    levels = {model["model"]: model.get("levels") for model in document["models"]}
    assert (levels["both"], levels["first"], levels["mel"]) == (2, 1, None)
    pairs = [json.loads(line) for line in (out / "phone_pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    own = [row["across"] for row in pairs if (row["model"], row["condition"]) == ("chance", "any")]
    assert np.mean(own) == pytest.approx(chance["across"]["error"])
    for name in ("table.csv", "phone_pairs.csv", "table.tex", "triphone.item", "any.item", "phones.csv"):
        assert (out / name).is_file()


def test_written_items_give_the_same_errors(spoken, tmp_path, capsys):
    first, again = tmp_path / "first", tmp_path / "again"
    base = ["--models", "random:llmcodec", "--context", "any", "--max-items", "3"]
    assert main(command(spoken, *base, "--output", str(first))) == 0
    items = ["--items", str(first / "any.item"), "--dataset", str(spoken), "--quiet"]
    assert main([*items, *base, "--output", str(again)]) == 0
    one, two = (json.loads((folder / "results.json").read_text(encoding="utf-8")) for folder in (first, again))
    assert one["rows"] == two["rows"]
    assert (again / "any.item").read_text() == (first / "any.item").read_text()
    assert main([*items, *base, "--output", str(again)]) == 2
    assert "holds results already" in capsys.readouterr().err


def test_speakers_of_the_alignments_count_where_the_data_set_has_none(spoken, tmp_path, capsys):
    lines = (spoken.parent / "phones.csv").read_text(encoding="utf-8").splitlines()
    named = [f"{line},{'w' if line.startswith('None') else ''}" for line in lines[1:]]
    (tmp_path / "named.csv").write_text("\n".join([f"{lines[0]},speaker", *named]) + "\n", encoding="utf-8")
    arguments = ["--dataset", str(spoken), "--alignments", str(tmp_path / "named.csv"), "--quiet"]
    out = tmp_path / "out"
    assert main([*arguments, "--models", "mel", "--context", "any", "--output", str(out)]) == 0
    assert "no speaker" not in capsys.readouterr().out
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (document["conditions"][0]["speakers"], document["dataset"]["clips"]) == (["w", "x", "y", "z"], 16)


def test_every_condition_can_be_asked_for():
    assert tuple(CONDITIONS) == abx_command._CONDITIONS


def test_a_corpus_alone_and_a_limit_are_said(spoken, capsys):
    assert main(command(spoken, "--models", "mel", "--corpus", "one", "--limit", "3", "--context", "any")) == 0
    assert "one speaker: nothing is measured across speakers" in capsys.readouterr().out
    assert main(command(spoken, "--models", "mel", "--corpus", "one", "--limit", "8", "--context", "any")) == 0
    assert "(one) -- NOT FOR REPORTING (--limit 8)" in " ".join(capsys.readouterr().out.split())


def test_phones_are_read_by_the_recogniser_where_no_file_is_given(spoken, monkeypatch, tmp_path):
    def phones_of(clip_id, samples):
        word = WORDS[int(clip_id.rpartition("-")[2])]
        # Spikes come late: that of a phone of five frames in its fourth.
        tokens = [token for phone in word for token in (*["<blank>"] * 3, phone, "<blank>")]
        return ctc_phones.aligned(clip_id, tokens, len(samples) / RATE)

    monkeypatch.setattr(ctc_phones, "phones_of", phones_of)
    monkeypatch.setattr(ctc_phones, "require", lambda: None)
    out = tmp_path / "out"
    arguments = ["--dataset", str(spoken), "--models", "mel", "--context", "any", "--quiet", "--output", str(out)]
    assert main(arguments) == 0
    assert "has learnt from hama" not in (out / "table.md").read_text(encoding="utf-8")
    monkeypatch.setattr(LogMel, "facts", lambda self: {"teachers": ["hama"]})
    assert main([*arguments, "--overwrite"]) == 0
    assert "mel has learnt from hama" in (out / "table.md").read_text(encoding="utf-8")
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert document["aligner"] == ctc_phones.RECOGNISER
    assert document["rows"][0]["within"]["error"] == 0.0
    assert (out / "phones.csv").read_text(encoding="utf-8").count("\n") == 1 + 12 * 6


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--models", "mell"], "did you mean 'mel'"),
        (["--models", "mel", "mel"], "two representations are called mel"),
        (["--corpus", "three"], "has no clip to measure"),
        (["--items", "x.item", "--alignments", "y.csv"], "not allowed with"),
        (["--models", "mel", "--alignments", "absent.csv"], "absent.csv"),
    ],
)
def test_what_cannot_be_measured_is_said(spoken, more, said, capsys):
    arguments = ["--dataset", str(spoken), "--quiet", *more]
    if "--corpus" in more:
        arguments = command(spoken, "--models", "mel", *more)
    if "--items" in more:
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
    else:
        assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_models_are_listed_and_clips_are_asked_for(capsys):
    assert main(["--list"]) == 0
    assert "llmcodec:continuous" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--models", "mel"])
    assert "--dataset DIR[:SPLIT]" in capsys.readouterr().err


def test_a_model_that_fails_on_a_clip_costs_only_itself(spoken, monkeypatch, capsys):
    frames = LogMel.frames

    def fail(self, samples):
        if self.name == "other":
            raise ValueError("too short")
        return frames(self, samples)

    monkeypatch.setattr(LogMel, "frames", fail)
    assert main(command(spoken, "--models", "mel", "other=mel", "--context", "any", "--wide")) == 1
    printed = capsys.readouterr().out
    assert "other: left out: no frames of the clip x-0: ValueError: too short" in printed
    assert main(command(spoken, "--models", "other=mel", "--context", "any")) == 2
    assert "no model was measured: other" in capsys.readouterr().err
