"""What stands where a codec's frozen speech encoder could not be had: such a codec decodes, and says why it cannot
encode."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import nn

from soundcodec_llmcodec.weights_files import TeacherError


class AbsentEncoder(nn.Module):
    """Raises TeacherError, with what is missing, for anything that a speech encoder is asked for.

    `weights_hash` is that of the whole codec, which its checkpoint states.
    """

    def __init__(self, missing: str, weights_hash: str) -> None:
        super().__init__()
        self.missing = missing
        self.weights_hash = weights_hash

    def forward(self, *_: Any, **__: Any) -> NoReturn:
        """Raises TeacherError."""
        raise TeacherError(f"this codec decodes, and cannot encode without its speech encoder: {self.missing}")

    begun = spans = block = forward

    @property
    def config(self) -> NoReturn:
        """Raises TeacherError."""
        self.forward()

    begun_width = states_width = config
