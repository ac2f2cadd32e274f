"""The report's own plots: ticks, labels and numbers."""

from __future__ import annotations

import pytest

from eval.harness.pages import figures, labels, scales
from eval.reconstruction.report import codec_table


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.66, 9.4), (4.2, 4.3), (-40.0, 12.0), (1e-5, 3e-5)])
def test_linear_ticks_are_few_and_inside(low: float, high: float):
    ticks = scales.linear_ticks(low, high)
    assert 3 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize(("low", "high"), [(0.5, 8.0), (0.7, 1.3), (0.1, 512.0), (5.0, 7.0)])
def test_log_ticks_are_few_and_inside(low: float, high: float):
    ticks = scales.log_ticks(low, high)
    assert 3 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)


def test_labels_of_near_points_do_not_cover_each_other():
    frame = labels.Box(0, 0, 440, 330)
    points = [(100.0 + 4 * index, 150.0 + 3 * index, f"codec_{index}_of_some_name") for index in range(8)]
    placed = labels.place(points, frame, [], 11)
    assert [label.text for label in placed] == [text for *_, text in points]
    for index, label in enumerate(placed):
        assert label.box.outside(frame) == 0
        assert all(label.box.overlap(other.box) == 0 for other in placed[:index])


def test_numbers_are_written_for_reading():
    assert figures.number(-0.1234) == "−0.123"
    assert figures.number(123.456) == "123.5"
    assert figures.number(None) == "–"
    assert figures.number(0.00042) == "0.00042"
    assert figures.half({"mean": 12.0, "low": 11.0, "high": 13.5}) == "±1.25"
    assert figures.p_value(0.0004) == "< 0.001"
    assert figures.signed(1.0) == "+1.000"


@pytest.mark.parametrize(("others", "marked"), [((40.0, 52.1), True), ((40.0, 51.9), False), ((40.0, 40.0), False)])
def test_a_cost_is_best_beyond_noise_only(others, marked):
    """Measured again, one codec's memory or time is another by a quarter; its mean mel is not."""
    models = [
        {"splits": {"S": {"metrics": {"mel": {"mean": mel}}, "peak_memory_mib": cost, "encode_rtf": None}}}
        for mel, cost in zip((1.0, 1.01), others, strict=True)
    ]
    best = codec_table._best(models, "S", {"mel": {"direction": "lower"}})
    assert best["mel"] == 1.0
    assert best.get("peak_memory_mib") == (40.0 if marked else None)
    assert "encode_rtf" not in best
