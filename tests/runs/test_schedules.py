"""Weights and rates over a run, by hand."""

from __future__ import annotations

import pytest

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.schedules import LossSchedule, in_steps, learning_rate_at


def test_a_loss_begins_rises_and_stays():
    loss = LossSchedule(2.0, start=20, ramp=10)
    assert [loss.at(step, 100) for step in (0, 19, 20, 24, 29, 30, 99)] == pytest.approx([0, 0, 0.2, 1.0, 2, 2, 2])


def test_a_loss_falls_by_a_cosine_and_stays():
    loss = LossSchedule(1.5, final=0.75, decay=50_000)
    assert loss.at(0, 25_000) == 1.5
    assert loss.at(25_000, 25_000) == pytest.approx((1.5 + 0.75) / 2)
    assert loss.at(60_000, 25_000) == 0.75
    rest = LossSchedule(1.0, start=10, ramp=10, final=0.0)
    assert rest.at(60, 100) == pytest.approx(0.5)
    assert rest.at(100, 100) == 0.0


def test_shares_of_the_run_are_steps():
    loss = LossSchedule(1.0, start=0.25, ramp=0.5)
    assert loss.first_step(80) == 20
    assert loss.at(39, 80) == pytest.approx(0.5)
    assert [in_steps(value, 80) for value in (0, 0.5, 1, 7)] == [0, 40, 1, 7]


@pytest.mark.parametrize("values", [{"start": -1}, {"ramp": 2.5}, {"decay": -3}, {"weight": -1.0}, {"final": -1.0}])
def test_what_is_no_schedule_is_rejected(values):
    with pytest.raises(TrainConfigError):
        LossSchedule(**{"weight": 1.0, **values})


def test_learning_rates():
    def rate(step: int) -> float:
        return learning_rate_at(step, 100, 10, 1.0, 0.1)

    assert rate(0) == pytest.approx(0.1)
    assert rate(9) == rate(10) == 1.0
    assert rate(55) == pytest.approx(0.55)
    assert rate(100) == rate(500) == pytest.approx(0.1)
    assert learning_rate_at(4, 100, 0.1, 1.0, 0.1) == 0.5


def test_a_rate_is_held_between_warm_up_and_cosine():
    def rate(step: int) -> float:
        return learning_rate_at(step, 110, 10, 1.0, 0.1, hold=60)

    assert rate(4) == pytest.approx(0.5)
    assert rate(10) == rate(69) == rate(70) == 1.0
    assert rate(90) == pytest.approx(0.55)
    assert rate(110) == pytest.approx(0.1)
    # A run whose rate is held may be made longer: the steps until then had the same rates.
    assert all(learning_rate_at(step, 500, 10, 1.0, 0.1, hold=450) == rate(step) for step in range(70))
