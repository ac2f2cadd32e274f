"""Rates, distortions and the control curve, from rows whose numbers are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from experiments.tradeoff.collect import (
    CAPPED,
    MeasuredRow,
    collected,
    draws,
    interval,
    mean,
    outside,
    rate,
    read_row,
    under_control,
)
from experiments.tradeoff.tradeoff_report import write_report
from experiments.tradeoff.tradeoff_rows import Experiment, ExperimentError, RowSpec

SECONDS = (1.0, 3.0, 2.0, 4.0)
IDS = tuple(f"clip{i}" for i in range(4))


def row(name: str, family: str, bits_per_s: float, mel: float, pesq: float = 1.5) -> MeasuredRow:
    """Four clips of other lengths that all have these numbers."""
    seconds = np.array(SECONDS)
    scores = {"mel": np.full(4, mel), "pesq": np.full(4, pesq)}
    return MeasuredRow(
        row=RowSpec(name, family),
        clip_ids=IDS,
        seconds=seconds,
        tokens=50 * seconds,
        bits=bits_per_s * seconds,
        unigram_bits=2 * bits_per_s * seconds,
        bigram_bits=1.5 * bits_per_s * seconds,
        scores=scores,
        weights={name: np.ones(4) for name in scores},
        facts={"codes_used": 3, "codebook_size": 8, "codec_hash": name, "entropy_bits": 1.5},
        seconds_spent={"train": 1.0},
        salmon={},
    )


CONTROLS = [
    row("base", "control", 400, 0.8, 1.6),
    row("few", "control", 200, 1.2, 1.2),
    row("some", "control", 300, 1.0, 1.4),
]


@pytest.mark.parametrize(
    ("bits", "mel", "expected"),
    [
        (280, 0.9, 20.0),  # halfway between 400 and 300: 350
        (350, 0.9, 0.0),
        (225, 1.15, 0.0),
        (420, 0.9, -20.0),
        (200, 0.8, 50.0),  # the best control itself
        (100, 1.2, 50.0),  # the last one
        (200, 0.79, math.nan),  # better than the best: that one is at another distortion
        (100, 1.21, math.nan),  # worse than the last
    ],
)
def test_bits_under_the_control_curve_at_equal_distortion(bits, mel, expected):
    found = under_control(row("one", "prior", bits, mel), CONTROLS, "mel", draws(4, 20))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert outside(found) == ("outside the curve" if math.isnan(expected) else None)


def test_a_row_at_the_curves_end_says_in_how_many_resamples_it_is_outside():
    """On the curve with all clips, beyond its end with some of them: no interval, and the value is not shown alone."""
    found = np.array([5.0, *[4.0] * 900, *[math.nan] * 100])
    assert outside(found) == "outside the curve in 10% of resamples"
    assert outside(np.array([5.0, *[4.0] * 990, *[math.nan] * 10])) is None


def test_where_higher_is_better_the_curve_is_read_the_other_way_round():
    found = under_control(row("one", "prior", 280, 0.9, 1.5), CONTROLS, "pesq", draws(4, 5))
    np.testing.assert_allclose(found, 20.0, atol=1e-9)
    beyond = under_control(row("one", "prior", 100, 0.9, 1.1), CONTROLS, "pesq", draws(4, 5))
    assert np.isnan(beyond).all()


def test_a_rate_is_all_bits_over_all_seconds_and_missing_scores_are_left_out():
    one = row("one", "prior", 0, 1.0)
    bits = np.array([10.0, 0, 0, 0])
    scores = np.array([1.0, math.nan, 3.0, 5.0])
    one = MeasuredRow(
        **{**vars(one), "bits": bits, "scores": {"mel": scores}, "weights": {"mel": np.array([1, 1, 1, 2])}}
    )
    every = draws(4, 200)
    assert rate(one, every)[0] == 1.0
    assert mean(one, "mel", every)[0] == pytest.approx((1 + 3 + 10) / 4)
    found = interval(rate(one, every))
    assert found.low < found.value < found.high


def test_an_interval_of_nothing_is_nothing():
    assert math.isnan(interval(np.array([math.nan, 1.0, 2.0])).value)
    assert math.isnan(interval(np.array([1.0, math.nan, math.nan, 2.0])).value)


def write(folder, name: str, bits: float, mel: float | None, ids=IDS):
    """A row's folder as its stages leave it."""
    for part in ("predict", "reconstruct"):
        (folder / name / part).mkdir(parents=True)
    lines = [
        {"model": model, "clip_id": f"shard/{one}", "seconds": 2.0, "tokens": 100, "audio_nats": nats * math.log(2)}
        for model, nats in (("unigram", 3 * bits), ("bigram", 2 * bits), ("lm", bits))
        for one in ids
    ]
    (folder / name / "predict" / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    codec = {"codes_used": 5, "codebook_size": 64, "codec_hash": name}
    (folder / name / "predict" / "results.json").write_text(json.dumps({"codecs": [codec]}))
    lines = [{"clip_id": one, "checkpoint_hash": name, "scores": {"mel": mel}, "weights": {}} for one in ids]
    # What a recogniser hears in the clips themselves stands among them, and is of no codec.
    lines += [{"model": "originals", "clip_id": one, "checkpoint_hash": None, "scores": {"wer": 0.1}} for one in ids]
    (folder / name / "reconstruct" / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    document = {"models": [{"splits": {"validation": {"entropy_bits": 2.0}}}]}
    (folder / name / "reconstruct" / "results.json").write_text(json.dumps(document))
    (folder / name / "stages.json").write_text(json.dumps({"train": {"seconds": 7.0, "command": []}}))
    (folder / name / "train.yaml").write_text("init: somewhere\n")
    (folder / name / "lm.yaml").write_text("steps: 1\n")


def experiment(*names: str) -> Experiment:
    rows = [RowSpec(name, "control" if name.startswith("base") else "prior", 1.0) for name in names]
    return Experiment(tuple(rows), {}, {"steps": 1})


def test_rows_are_read_as_they_were_measured_and_reported(tmp_path):
    write(tmp_path, "base", 20.0, 0.5)
    write(tmp_path, "base-2", 10.0, 0.7)
    write(tmp_path, "prior", 12.0, 0.6)
    found = read_row(RowSpec("prior", "prior"), tmp_path / "prior")
    assert found.clip_ids == IDS
    np.testing.assert_allclose(found.bits, 12.0)
    np.testing.assert_allclose(found.unigram_bits, 36.0)
    plan = experiment("base", "base-2", "prior", "not-yet")
    markdown, numbers, picture = write_report(plan, tmp_path, tmp_path / "report")
    text = markdown.read_text()
    assert "| prior | 5 of 64 | 2.00 | 0.36 | 0.24 | 0.12 | 1 | 6 [6, 6] | -40.0% [-40.0, -40.0]" in text
    assert "20.0% [20.0, 20.0]" in text  # 15 bits at 0.6 on the curve from 20 to 10, of two seconds each
    assert "not-yet" not in text
    rows = json.loads(numbers.read_text())["rows"]
    assert rows[2]["under_control_percent"]["mel"]["value"] == pytest.approx(20.0)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_another_experiments_rows_stand_beside_by_their_label(tmp_path):
    """A longer experiment's rows are held against its own baseline and its own controls: 18 bits on a line from 30 at
    0.4 to 10 at 0.8 is 10% under it, and 40% under its baseline; the shorter one's controls would say other numbers."""
    for name, bits, mel in (("base", 20.0, 0.5), ("base-2", 10.0, 0.7), ("prior", 12.0, 0.6)):
        write(tmp_path / "short", name, bits, mel)
    for name, bits, mel in (("base", 30.0, 0.4), ("base-2", 10.0, 0.8), ("prior", 18.0, 0.6)):
        write(tmp_path / "long", name, bits, mel)
    rows = experiment("base", "base-2", "prior").rows
    longer = Experiment(rows, {}, {"steps": 1}, label="long")
    plan = experiment("base", "base-2", "prior")
    further = [(longer, tmp_path / "long")]
    markdown, numbers, _ = write_report(plan, tmp_path / "short", tmp_path / "report", further)
    assert "| base, long | 5 of 64 |" in markdown.read_text()
    found = {row["row"]: row for row in json.loads(numbers.read_text())["rows"]}
    assert found["prior"]["against_base_percent"]["value"] == pytest.approx(-40)
    one = found["prior, long"]
    assert (one["family"], one["baseline"]) == ("prior, long", "base, long")
    assert one["against_base_percent"]["value"] == pytest.approx(-40)
    assert one["under_control_percent"]["mel"]["value"] == pytest.approx(10)
    assert {name for name, row in found.items() if row["under_control_percent"]} == {"prior", "prior, long"}
    write(tmp_path / "other", "base", 20.0, 0.5, ids=("a", "b"))
    with pytest.raises(ExperimentError, match="different clips"):
        write_report(plan, tmp_path / "short", tmp_path, [(longer, tmp_path / "other")])
    with pytest.raises(ExperimentError, match="two experiments have rows of one name"):
        write_report(plan, tmp_path / "short", tmp_path, [*further, *further])


def test_the_short_table_stands_between_its_marks_and_the_rest_stays(tmp_path):
    for name, bits, mel in (("base", 20.0, 0.5), ("base-2", 10.0, 0.7), ("prior", 12.0, 0.6)):
        write(tmp_path, name, bits, mel)
    text = tmp_path / "text.md"
    text.write_text("before\n\n<!-- rows -->\nold\n<!-- /rows -->\n\nafter\n")
    plan = experiment("base", "base-2", "prior")
    for _ in range(2):
        write_report(plan, tmp_path, tmp_path / "report", text=text)
    row = "| prior | 5 | 6 [6, 6] | -40.0% [-40.0, -40.0] | 20.0% [20.0, 20.0] | 0.600 |"
    heads = "| row | codes used | bits/s | against base | under control at equal mel | mel ↓ |"
    lines = text.read_text().splitlines()
    assert lines[:4] == ["before", "", "<!-- rows -->", heads]
    assert lines[7:] == [row, "<!-- /rows -->", "", "after"]
    text.write_text("nothing here")
    with pytest.raises(ExperimentError, match="should hold one <!-- rows -->"):
        write_report(plan, tmp_path, tmp_path / "report", text=text)
    assert text.read_text() == "nothing here"


def test_rows_outside_the_curve_say_so_in_tables_and_numbers(tmp_path):
    """Better than the best control, which has 20 bits at 0.5: not 40% under those."""
    for name, bits, mel in (("base", 20.0, 0.5), ("base-2", 10.0, 0.7), ("prior", 12.0, 0.4), ("prior-2", 9.0, 0.8)):
        write(tmp_path, name, bits, mel)
    text = tmp_path / "text.md"
    text.write_text("<!-- rows -->\n<!-- /rows -->\n")
    plan = experiment("base", "base-2", "prior", "prior-2")
    markdown, numbers, _ = write_report(plan, tmp_path, tmp_path / "report", text=text)
    for name in ("prior", "prior-2"):
        assert f"| {name} | outside the curve |" in markdown.read_text()
        assert "| outside the curve |" in next(line for line in text.read_text().splitlines() if f"| {name} |" in line)
    assert "outside the curve: better than the best control, or worse than the last one" in markdown.read_text()
    rows = {row["row"]: row["under_control_percent"] for row in json.loads(numbers.read_text())["rows"]}
    said = {"value": None, "low": None, "high": None, "reason": "outside the curve"}
    assert (rows["prior"]["mel"], rows["prior-2"]["mel"]) == (said, said)


def test_capped_word_errors_are_told_apart_from_the_others(tmp_path):
    """Ten errors a word in one clip of four, and none in the others."""
    write(tmp_path, "base", 20.0, 0.5)
    path = tmp_path / "base" / "reconstruct" / "clips.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for index, line in enumerate(lines[:4]):
        line["scores"]["wer"] = 10.0 if index == 0 else 0.0
    path.write_text("\n".join(map(json.dumps, lines)))
    markdown, numbers, _ = write_report(experiment("base"), tmp_path, tmp_path / "report")
    (found,) = json.loads(numbers.read_text())["rows"]
    assert found["scores"]["wer"]["value"] == 2.5
    assert found["scores"][CAPPED]["value"] == 0.25
    assert f"| wer ↓ | {CAPPED} ↓ |" in markdown.read_text()
    assert f"wer: not capped: a clip is above 1 where more was heard than said; {CAPPED}" in markdown.read_text()


def test_a_metric_of_no_clip_is_no_place_on_the_curve(tmp_path):
    """PESQ failed on all clips of a control: that one is left out of the curve; a row without any is not compared."""
    for name, bits, mel in (("base", 20.0, 0.5), ("base-2", 10.0, 0.7), ("few", 5.0, None), ("prior", 12.0, 0.6)):
        write(tmp_path, name, bits, mel)
    write(tmp_path, "silent", 12.0, None)
    rows = [RowSpec(name, "control") for name in ("base", "base-2", "few")]
    rows += [RowSpec(name, "prior") for name in ("prior", "silent")]
    _, numbers, _ = write_report(Experiment(tuple(rows), {}, {"steps": 1}), tmp_path, tmp_path / "report")
    found = {row["row"]: row["under_control_percent"] for row in json.loads(numbers.read_text())["rows"]}
    assert found["prior"]["mel"]["value"] == pytest.approx(20)
    assert found["silent"] == {}


def test_a_baseline_alone_is_no_control_curve(tmp_path):
    for name, mel in (("base", 0.5), ("prior", 0.5)):
        write(tmp_path, name, 20.0, mel)
    _, numbers, _ = write_report(experiment("base", "prior"), tmp_path, tmp_path / "report")
    assert all(row["under_control_percent"] == {} for row in json.loads(numbers.read_text())["rows"])


def test_rows_of_other_clips_are_not_compared(tmp_path):
    write(tmp_path, "base", 20.0, 0.5)
    write(tmp_path, "prior", 12.0, 0.6, ids=("a", "b"))
    with pytest.raises(ExperimentError, match="other clips"):
        collected(experiment("base", "prior"), tmp_path)


def test_tokens_of_one_codec_and_audio_of_another_are_no_row(tmp_path):
    write(tmp_path, "base", 20.0, 0.5)
    path = tmp_path / "base" / "reconstruct" / "clips.jsonl"
    path.write_text(path.read_text().replace('"checkpoint_hash": "base"', '"checkpoint_hash": "other"'))
    with pytest.raises(ExperimentError, match="different codecs"):
        collected(experiment("base"), tmp_path)


def test_without_the_baseline_nothing_is_compared(tmp_path):
    write(tmp_path, "prior", 12.0, 0.6)
    with pytest.raises(ExperimentError, match="no measured baseline 'base'"):
        collected(experiment("base", "prior"), tmp_path)


def test_rows_with_other_metrics_than_the_controls_are_shown_without_them(tmp_path):
    """A quick row without PESQ, and one that has STOI alone of all: nothing fails, nothing is made up."""
    plan = experiment("base", "base-2", "prior", "quick")
    for name, bits, mel in (("base", 20.0, 0.5), ("base-2", 10.0, 0.7), ("prior", 12.0, 0.6), ("quick", 12.0, 0.6)):
        write(tmp_path, name, bits, mel)
        added = {"base": {"pesq": 2.0}, "base-2": {"pesq": 1.0}, "prior": {"pesq": 1.5, "stoi": 0.8}}.get(name, {})
        path = tmp_path / name / "reconstruct" / "clips.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [line | {"scores": line["scores"] | added} for line in lines]
        path.write_text("\n".join(map(json.dumps, lines)))
    text = tmp_path / "text.md"
    text.write_text("<!-- rows -->\n<!-- /rows -->\n")
    _, numbers, _ = write_report(plan, tmp_path, tmp_path / "report", text=text)
    found = {row["row"]: row["under_control_percent"] for row in json.loads(numbers.read_text())["rows"]}
    assert {name: sorted(under) for name, under in found.items()} == {
        "base": [],
        "base-2": [],
        "prior": ["mel", "pesq"],
        "quick": ["mel"],
    }
    assert found["prior"]["pesq"]["value"] == pytest.approx(20)
    quick = "| quick | 5 | 6 [6, 6] | -40.0% [-40.0, -40.0] | 20.0% [20.0, 20.0] |  | 0.600 |  |"
    assert quick in text.read_text().splitlines()


def seeded() -> Experiment:
    """A control curve of two, the baseline with another seed, and a row of each seed."""
    rows = [RowSpec("base", "control"), RowSpec("base-2", "control"), RowSpec("base-seed1", "control seed")]
    rows += [RowSpec("prior", "prior"), RowSpec("prior-seed1", "prior", against="base-seed1")]
    return Experiment(tuple(rows), {}, {"steps": 1})


def test_a_row_of_another_seed_is_held_against_that_seeds_baseline(tmp_path):
    """Halfway between 20 and 10 bits for the one, between 16 (its own seed's, at the same mel) and 10 for the other."""
    numbers = {"base": (20.0, 0.5), "base-2": (10.0, 0.7), "base-seed1": (16.0, 0.5)}
    for name, (bits, mel) in (numbers | {"prior": (12.0, 0.6), "prior-seed1": (12.0, 0.6)}).items():
        write(tmp_path, name, bits, mel)
    markdown, document, _ = write_report(seeded(), tmp_path, tmp_path / "report")
    found = {row["row"]: row for row in json.loads(document.read_text())["rows"]}
    assert found["prior"]["against_base_percent"]["value"] == pytest.approx(-40)
    assert found["prior-seed1"]["against_base_percent"]["value"] == pytest.approx(-25)
    assert found["prior"]["under_control_percent"]["mel"]["value"] == pytest.approx(20)
    assert found["prior-seed1"]["under_control_percent"]["mel"]["value"] == pytest.approx(100 / 13)
    assert found["prior-seed1"]["baseline"] == "base-seed1"
    # By seed: each row on each curve.
    assert "| prior | 20.0% [20.0, 20.0] | 7.7% [7.7, 7.7] |" in markdown.read_text()
    (tmp_path / "base-seed1" / "predict" / "results.json").unlink()
    with pytest.raises(ExperimentError, match="compared with base-seed1, which is not measured"):
        write_report(seeded(), tmp_path, tmp_path / "report")


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [("train", "steps: 3", "steps"), ("lm", "steps: 2", "steps"), ("train", "init: a\nlosses: {}", "losses")],
)
def test_a_folder_of_other_settings_is_not_the_row(tmp_path, name, text, key):
    """A weight changed in the experiment since: the numbers stand under a name that is not theirs any more."""
    write(tmp_path, "base", 20.0, 0.5)
    (tmp_path / "base" / f"{name}.yaml").write_text(text)
    with pytest.raises(ExperimentError, match=rf"{name}.yaml differs from the experiment's row in {key}"):
        collected(experiment("base"), tmp_path)


def test_a_row_that_is_being_made_anew_is_not_measured(tmp_path):
    for name in ("base", "prior"):
        write(tmp_path, name, 20.0, 0.5)
    entries = {"train": {"seconds": 1.0, "command": []}, "reconstruct": {"seconds": 1.0, "finished": False}}
    (tmp_path / "prior" / "stages.json").write_text(json.dumps(entries))
    assert [one.row.name for one in collected(experiment("base", "prior"), tmp_path)] == ["base"]


def test_pairs_scored_with_another_codec_are_not_the_rows(tmp_path):
    write(tmp_path, "base", 20.0, 0.5)
    (tmp_path / "base" / "salmon").mkdir()
    model = {"codec_hash": "other", "scores": {"token": {"parts": {}}}}
    (tmp_path / "base" / "salmon" / "results.json").write_text(json.dumps({"models": [model]}))
    with pytest.raises(ExperimentError, match="different codecs"):
        collected(experiment("base"), tmp_path)


def test_experiments_with_other_language_models_do_not_stand_together(tmp_path):
    for place in ("short", "long"):
        write(tmp_path / place, "base", 20.0, 0.5)
    (tmp_path / "long" / "base" / "lm.yaml").write_text("steps: 2")
    longer = Experiment(experiment("base").rows, {}, {"steps": 2}, label="long")
    with pytest.raises(ExperimentError, match="the long experiment's fresh language models are others"):
        write_report(experiment("base"), tmp_path / "short", tmp_path, [(longer, tmp_path / "long")])


def test_an_interval_holds_its_value():
    """At the end of a curve all resamples may lie on one side of what all clips give."""
    one_sided = interval(np.array([5.0, *np.linspace(6, 9, 1_000)]))
    assert (one_sided.low, one_sided.value) == (5.0, 5.0)
    assert one_sided.high > 8.9
    inside = interval(np.array([5.0, *np.linspace(4, 6, 1_001)]))
    assert (inside.low, inside.high) == pytest.approx((4.05, 5.95))
