"""The optional packages of the extra `lm`, imported when they are first needed."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from types import ModuleType

from soundcodec_llmcodec.extras import missing


def lm_package(name: str, purpose: str) -> ModuleType:
    """The package of that name. Raises ImportError, naming the extra, where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(missing(purpose, error.name or name, "lm")) from error


@contextlib.contextmanager
def no_bars() -> Iterator[None]:
    """Transformers' own progress bars off within the block: a quiet run is quiet."""
    from transformers.utils import logging

    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()
