"""Single numbers in the forms in which they come."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from soundcodec_llmcodec.scalars import whole_number


@pytest.mark.parametrize(
    "value",
    [
        16_000,
        16_000.0,
        np.int16(16_000),
        np.uint32(16_000),
        np.float32(16_000),
        np.array(16_000),
        np.array([16_000]),
        np.array([[16_000.0]]),
        torch.tensor(16_000),
        torch.tensor([16_000], dtype=torch.int32),
        torch.tensor(16_000.0, requires_grad=True),
        torch.tensor(16_000, dtype=torch.bfloat16),
        Fraction(16_000),
    ],
    ids=repr,
)
def test_every_form_of_one_number(value):
    found = whole_number(value)
    assert found == 16_000
    assert type(found) is int


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        np.bool_(True),
        torch.tensor(True),
        0.5,
        float("nan"),
        float("inf"),
        torch.tensor(0.5),
        "16000",
        np.array("16000"),
        1 + 0j,
        [16_000],
        np.array([16_000, 16_000]),
        torch.zeros(0),
        {},
    ],
    ids=repr,
)
def test_what_is_no_whole_number(value):
    assert whole_number(value) is None


def test_numbers_beyond_a_floats_precision_are_exact():
    assert whole_number(2**60 + 1) == 2**60 + 1
    assert whole_number(np.int64(2**60 + 1)) == 2**60 + 1
    assert whole_number(10**400) == 10**400
