"""Compact tables: they fit, nothing is cut, marks show a direction, and bold is worth something."""

from __future__ import annotations

import io

import numpy as np
import pytest

from eval.harness.duration import RunEstimate, about
from eval.harness.leading import leader
from eval.harness.statistics import column
from eval.harness.table_files import csv_text, escaped, tex_text
from eval.harness.terminal_table import BETTER, WORSE, CompactCell, CompactTable, Terminal, below, render
from eval.reconstruction.metrics import Score


def table(n_columns: int = 6, best: int | None = None) -> CompactTable:
    cells = tuple(CompactCell(f"{place}.250", "0.125", best=place == best) for place in range(n_columns))
    marked = (CompactCell("9.000", "0.500", mark=WORSE), *cells[1:-1], CompactCell("8.000", mark=BETTER))
    rows = ((("first", "0.716"), cells), (("second_model", "~6.1"), marked))
    heads = tuple(f"metric{place} ↓" for place in range(n_columns))
    return CompactTable("Speech: mini, 12 clips -- NOT FOR REPORTING", ("model", "kbit/s"), heads, rows, ("a reason",))


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_every_line_of_a_table_fits_and_every_column_is_there(width):
    text = render(table(), Terminal(width))
    assert max(map(len, text.replace("- a reason", "").splitlines())) <= width
    for place in range(6):
        assert text.count(f"metric{place} ↓") == 1
    # Each block names its rows.
    headers = [line for line in text.splitlines() if line.startswith("model ")]
    assert text.count("second_model") == len(headers) > (0 if width > 100 else 1)
    assert text.endswith("- a reason")


def test_a_column_that_is_too_wide_is_not_cut():
    text = render(table(), Terminal(10))
    assert text.count("0.716") == 6
    assert "second_model" in text


def test_marks_show_the_direction_and_have_an_ascii_form():
    lines = render(table(), Terminal(200)).splitlines()
    second = next(line for line in lines if line.startswith("second_model"))
    assert second.endswith("8.000▲")
    assert "9.000 ±0.500▼" in second
    plain = render(table(), Terminal(200, signs=False))
    assert plain.isascii()
    assert "9.000 +-0.500-" in plain
    assert "metric0 v" in plain


def test_columns_are_aligned_under_their_headers():
    lines = [line for line in render(table(), Terminal(200)).splitlines() if "0.716" in line or "kbit/s" in line]
    assert len({line.index(end) + len(end) for line, end in zip(lines, ("kbit/s", "0.716"), strict=True)}) == 1


def test_bold_is_for_terminals_only(monkeypatch):
    assert "\033[1m" not in render(table(best=0), Terminal(200))
    shown = render(table(best=0), Terminal(200, bold=True))
    assert shown.count("\033[1m") == 1
    assert below(["bold: best", "all"], Terminal(80)) == "all"

    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "72")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Terminal.of(Tty()) == Terminal(72, bold=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert Terminal.of(Tty()) == Terminal(72, bold=False)
    assert Terminal.of(io.StringIO()) == Terminal(72)
    monkeypatch.delenv("COLUMNS")
    assert Terminal.of(io.StringIO()) == Terminal(100)


def test_an_encoding_without_the_signs_gets_ascii():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    assert not Terminal.of(stream).signs


def scores(values) -> dict[str, Score]:
    return {str(place): Score(float(value)) for place, value in enumerate(values)}


def test_the_leader_is_better_than_every_other_by_more_than_noise():
    noise = np.random.default_rng(0).normal(size=(3, 40))
    values = {"low": scores(noise[0]), "same": scores(noise[1]), "high": scores(noise[2] + 3)}
    made = column(values)
    assert leader(values, made, list(values), "higher") == "high"
    assert leader(values, made, list(values), "lower") is None  # two are at the lower end
    assert leader(values, made, ["low", "high"], "lower") == "low"
    assert leader(values, made, ["high"], "higher") is None


def test_latex_is_escaped_and_bold_is_kept():
    text = tex_text([table(best=2)], "50% & more")
    assert r"\textbf{2.250 $\pm$ 0.125}" in text
    assert r"second\_model" in text
    assert r"metric0 $\downarrow$" in text
    assert r"\multicolumn{8}{l}{50\% \& more} \\" in text
    assert text.count("&") - text.count(r"\&") == 7 * 3
    assert escaped("a_b\\{}~^#$") == r"a\_b\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}\#\$"


def test_csv_has_every_column_once_and_nothing_for_none():
    text = csv_text([{"a": 1.5, "b": None}, {"b": 'x,"y"', "c": True}])
    assert text == 'a,b,c\n1.5,,\n,"x,""y""",True\n'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "5 seconds"), (42, "40 seconds"), (95, "2 minutes"), (3000, "50 minutes"), (9000, "2.5 hours")],
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert about(seconds) == text


def test_the_estimate_is_said_once_and_only_where_something_is_left():
    said = []

    class Bar:
        def write(self, s: str, file: object) -> None:
            said.append(s)

    estimate = RunEstimate(120, "clips", 3, "codecs", Bar(), quiet=False)
    estimate.add(32.0, 8, weight=2.0)  # the batch's clips are twice as long as clips are
    estimate.add(1.0, 8)
    assert said == ["about 4 minutes for 120 clips x 3 codecs"]
    RunEstimate(8, "clips", 1, "codecs", Bar(), quiet=False).add(9.0, 8)
    RunEstimate(120, "clips", 1, "codecs", Bar(), quiet=True).add(9.0, 8)
    assert len(said) == 1
