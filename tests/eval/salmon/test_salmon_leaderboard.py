"""The table: what its cells, marks and notes say, and what others published."""

from __future__ import annotations

import pytest
import salmon_runs

from eval.salmon import published_accuracies, salmon_table
from eval.salmon.pair_scores import SalmonRun


def cells(text: str, model: str) -> dict[str, str]:
    """A row of a Markdown table by column."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    (row,) = [line for line in lines if line[0] == model]
    return dict(zip(lines[0], row, strict=True))


@pytest.fixture(scope="module")
def table() -> salmon_table.Table:
    return salmon_table.tables(salmon_runs.run(), "token", "good")


@pytest.fixture(scope="module")
def text(table) -> str:
    return salmon_table.markdown(table, "made up", "NOT FOR REPORTING (--limit 40)")


def test_columns_are_the_papers_in_its_order():
    run = salmon_runs.run()
    turned = SalmonRun(tuple(reversed(run.parts)), run.models, run.fingerprint)
    frame = salmon_table.tables(turned, "token", None).frame
    assert list(frame.columns[6:]) == ["Speaker", "Gender", "RIR", "Average", "ties", "failed", "pairs/s"]
    every = {"sentiment_alignment": ["right"], "bg_alignment": ["right"], "zz_mine": ["wrong"]}
    one = SalmonRun(tuple(every), (salmon_runs.model("m", every),), "f")
    assert list(salmon_table.tables(one, "token", None).frame.columns[6:10]) == [
        "BG-Align",
        "Sent-Align",
        "zz_mine",
        "Average",
    ]


def test_cells_have_accuracy_interval_and_marks(text):
    good, uniform = cells(text, "good"), cells(text, "uniform")
    # 36 of 40: Wilson's interval is [76.9, 96.0].
    assert good["Speaker"] == "90.0 [77, 96]*"
    assert uniform["Speaker"] == "50.0 [35, 65]†"
    # Of the pairs that all models have.
    assert uniform["ties"] == "118"
    assert good["kbit/s"] == "0.716"
    assert good["pairs/s"] == "4.00"
    other = cells(text, salmon_runs.HOSTILE)
    assert other["failed"] == "2"
    assert other["RIR"].endswith("(n=38)")
    assert cells(text, "good")["RIR"].endswith("(n=38)")


def test_a_mark_is_for_the_p_value_after_the_adjustment():
    models = [salmon_runs.model(name, {"rir_consistency": salmon_runs.outcomes(27, 13)}) for name in "abc"]
    alone = salmon_table.tables(SalmonRun(("rir_consistency",), (models[0],), "f"), "token", None)
    three = salmon_table.tables(SalmonRun(("rir_consistency",), tuple(models), "f"), "token", None)
    assert alone.frame["RIR"].tolist() == ["67.5 [52, 80]*"]
    assert three.frame["RIR"].tolist() == ["67.5 [52, 80]"] * 3


def test_the_title_carries_the_mark_and_notes_say_what_is_missing(text):
    assert text.startswith("## SALMon: made up, 40 pairs a part, log-likelihood a token -- NOT FOR REPORTING")
    assert "RIR: no <audio> in it (2 pairs: sample_38, sample_39)" in text
    assert "absent: not loaded: no <weights> here" in text


def test_sums_and_means_can_disagree():
    longer = SalmonRun(("bg_alignment",), (salmon_runs.model("m", {"bg_alignment": ["longer"] * 4}),), "f")
    found = {
        how: salmon_table.tables(longer, how, None).columns["bg_alignment"].accuracies["m"] for how in salmon_table.HOW
    }
    assert found["sum"].accuracy == 1
    assert found["token"].accuracy == 0
    assert "Average" not in salmon_table.tables(longer, "sum", None).frame


def test_parts_of_other_sizes_are_told():
    parts = {"bg_alignment": ["right"] * 3, "speaker_consistency": ["right"] * 5}
    run = SalmonRun(tuple(parts), (salmon_runs.model("m", parts),), "f")
    text = salmon_table.markdown(salmon_table.tables(run, "sum", None), "mine", None)
    assert text.startswith("## SALMon: mine, pairs: Speaker 5, BG-Align 3, log-likelihood summed")


def test_a_refused_accuracy_is_no_number():
    parts = {"bg_alignment": salmon_runs.outcomes(2, 1, 0, 3), "rir_consistency": ["right"] * 6}
    run = SalmonRun(tuple(parts), (salmon_runs.model("m", parts),), "f")
    text = salmon_table.markdown(salmon_table.tables(run, "token", None), "mine", None)
    assert cells(text, "m")["BG-Align"] == "refused"
    assert cells(text, "m")["Average"] == "refused"
    assert "m, BG-Align: refused: 3 of 6 pairs have no value" in text
    # Why there is no average follows from the line above.
    assert "m, Average" not in text


def test_the_baseline_is_the_first_of_several_and_must_be_one_of_them():
    run = salmon_runs.run()
    assert salmon_table.default_baseline(run.models) == "good"
    assert salmon_table.default_baseline(run.models[:1]) is None
    with pytest.raises(ValueError, match="'goood' is none of the models: good, uniform"):
        salmon_table.tables(run, "token", "goood")


def test_the_legend_names_the_tests_and_the_baseline(table):
    text = salmon_table.legend(table)
    for word in ("Wilson", "binomial", "McNemar", "Holm", "differs from good", "log-likelihood a token"):
        assert word in text
    alone = salmon_table.tables(salmon_runs.run(), "token", None)
    assert "McNemar" not in salmon_table.legend(alone)


def test_published_rows_are_said_to_be_published():
    text = published_accuracies.markdown()
    assert "published, not measured here" in text.splitlines()[0]
    ours = cells(text, "LLM-Codec (3 epochs) (published)")
    assert [ours[name] for name in ("Speaker", "Gender", "Sentiment", "RIR", "BG-All", "Average")] == [
        "72.0",
        "71.5",
        "-",
        "64.0",
        "57.0",
        "62.3",
    ]
    # An average that is not of the parts shown is not to be taken for it.
    assert abs((72.0 + 71.5 + 64.0 + 57.0) / 4 - 62.3) > 3
    assert "evidently over more parts" in text
    twist = cells(text, "TWIST 7B (published)")
    assert (twist["BG-Domain"], twist["BG-All"], twist["RIR"], twist["BG-Align"], twist["Average"]) == (
        "55.0",
        "60.5",
        "62.0",
        "54.5",
        "-",
    )
