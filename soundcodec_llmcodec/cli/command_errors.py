"""What a command can fail with, as one line for its user."""

from __future__ import annotations

import os

from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.coding import CodecInputError
from soundcodec_llmcodec.config_parts import ConfigError
from soundcodec_llmcodec.superb.register import SoundCodecMissingError
from soundcodec_llmcodec.token_ids import TokenError
from soundcodec_llmcodec.tokens import TokenFileError
from soundcodec_llmcodec.weights_files import CheckpointError


class CommandError(ValueError):
    """A command that cannot be carried out as it was given."""


FILE_ERRORS = (AudioError, CodecInputError, TokenError, TokenFileError, OSError)
USER_ERRORS = (*FILE_ERRORS, CheckpointError, CommandError, ConfigError, SoundCodecMissingError)


def one_line(error: BaseException) -> str:
    """An error's message without line breaks; the system's own errors without their number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fspath(error.filename)!s}: {error.strerror}"
    return " ".join(str(error).split())
