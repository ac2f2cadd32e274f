"""Single numbers in the forms in which they come: Python's, numpy's, and arrays or tensors of one element."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np


def whole_number(value: Any) -> int | None:
    """The whole number that a value is, and None where it is none.

    Integers of any kind, floats without a fraction, and arrays or tensors with one element are numbers, as
    `datasets` with a format and a DataLoader's collating make of a plain 16000. Booleans and text are none.
    """
    if hasattr(value, "numel"):
        # A tensor; in bfloat16 it has no form in numpy.
        value = value.item() if value.numel() == 1 else None
    elif hasattr(value, "__array__"):
        array = np.asarray(value)
        value = array.item() if array.size == 1 else None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    return int(float(value)) if float(value).is_integer() else None
