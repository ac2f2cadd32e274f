"""What a run can fail with."""

from __future__ import annotations


class TrainConfigError(ValueError):
    """A training configuration that cannot be run, with what was found and what was expected."""


class TrainingError(RuntimeError):
    """A run that cannot go on, with the step and the loss that broke it."""
