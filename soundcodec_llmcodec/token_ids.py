"""Bare token ids in any usual form, and `<CODEC_i>` text, as checked codes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

ON_INVALID = ("raise", "drop", "nearest")
_TOKEN = re.compile(r"<CODEC_(-?\d{1,18})>")
_SHOWN = 5


class TokenError(ValueError):
    """Tokens that cannot be decoded, with the offending ids and their positions."""


def token_text(ids: Sequence[int]) -> str:
    """Ids (F,) as "<CODEC_1><CODEC_2>...", the form in which language models see them."""
    return "".join(f"<CODEC_{int(token)}>" for token in ids)


def parse_codes(
    tokens: Any, codebook_size: int, num_quantizers: int | Sequence[int] = 1, on_invalid: str = "raise"
) -> torch.Tensor:
    """Tokens as int64 codes (Q, F), on the CPU, all in [0, codebook_size); Q is `num_quantizers`, or one of them.

    `tokens` holds whole numbers, (F,) for one level, (Q, F) or (1, Q, F), as a list, a range, an array or a tensor; or,
    for one level, text (or a list of texts) of "<CODEC_i>" with nothing but white space between. What is out of range
    is an error; with on_invalid="drop" its frames, and foreign pieces of text, are left out, with "nearest" ids are
    moved into the range (foreign text has no nearest id and stays an error). Both warn how many they changed.

    Raises TokenError for ids out of range, fractions, booleans, other shapes, foreign text, or no token at all.
    """
    if on_invalid not in ON_INVALID:
        raise ValueError(f"on_invalid must be one of {', '.join(ON_INVALID)}, got {on_invalid!r}")
    if isinstance(tokens, (list, tuple)) and tokens and all(isinstance(piece, str) for piece in tokens):
        tokens = "".join(tokens)
    if isinstance(tokens, str):
        ids = np.array(_ids_of_text(tokens, on_invalid), dtype=np.int64)
    else:
        ids = _whole_numbers(tokens)
    choices = (num_quantizers,) if isinstance(num_quantizers, int) else tuple(num_quantizers)
    codes = _in_range(_by_level(ids, choices), codebook_size, on_invalid)
    if codes.shape[1] == 0:
        raise TokenError("there are no tokens to decode")
    return torch.from_numpy(np.array(codes, dtype=np.int64, order="C"))


def _by_level(ids: np.ndarray, choices: Sequence[int]) -> np.ndarray:
    """Ids as (Q, F), whatever of an axis of one clip and one level they have before; Q is one of `choices`."""
    if ids.ndim == 3 and len(ids) == 1:
        ids = ids[0]
    if ids.ndim == 1 and 1 in choices:
        ids = ids[None]
    if ids.ndim == 2 and len(ids) in choices:
        return ids
    forms = ["(F,), (1, F) or (1, 1, F)" if n == 1 else f"({n}, F) or (1, {n}, F)" for n in choices]
    expected = "; or ".join(forms)
    several = ids.ndim == 3 or (ids.ndim == 2 and tuple(choices) == (1,) and len(ids) > 1)
    hint = "; decode_batch() takes several clips, and a Tokens keeps channels apart" if several else ""
    raise TokenError(f"expected tokens of shape {expected}, got {tuple(ids.shape)}{hint}")


def _whole_numbers(tokens: Any) -> np.ndarray:
    """Whole numbers of the caller's as an array of int64, or of Python ints where they are larger."""
    if isinstance(tokens, Sequence) and not isinstance(tokens, (list, tuple, bytes, memoryview)):
        tokens = list(tokens)
    if isinstance(tokens, torch.Tensor):
        ids = tokens.detach().cpu().numpy()
    elif isinstance(tokens, (list, tuple)):
        flat = [token for row in tokens for token in (row if isinstance(row, (list, tuple)) else [row])]
        if any(isinstance(token, (bool, np.bool_)) for token in flat):
            raise TokenError("tokens must be whole numbers, got booleans")
        try:
            ids = np.asarray(tokens) if flat else np.zeros(0, dtype=np.int64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TokenError(
                f"the list of tokens is ragged or not all whole numbers ({error}); decode_batch() takes several clips"
            ) from error
        if ids.dtype.kind == "f" and all(isinstance(token, (int, np.integer)) for token in flat):
            # numpy makes floats of whole numbers that only together exceed 64 bits.
            ids = np.array(tokens, dtype=object)
    elif isinstance(tokens, np.ndarray) or hasattr(tokens, "__array__"):
        ids = np.asarray(tokens)
    else:
        raise TokenError(f"expected tokens as whole numbers or text, got {type(tokens).__name__}")
    if ids.dtype.kind == "O" and all(isinstance(token, (int, np.integer)) for token in ids.flat):
        return ids
    if ids.dtype.kind not in "iu":
        raise TokenError(f"tokens must be whole numbers, got {ids.dtype} of shape {ids.shape}")
    return ids


def _ids_of_text(text: str, on_invalid: str) -> list[int]:
    """The ids in "<CODEC_i>" text. Foreign pieces raise TokenError, or are dropped with a counted warning."""
    ids: list[int] = []
    foreign: list[str] = []
    end = 0
    for match in [*_TOKEN.finditer(text), None]:
        between = text[end : match.start() if match else len(text)].strip()
        if between:
            short = between if len(between) <= 40 else between[:37] + "..."
            foreign.append(f"{short!r} after {len(ids)} tokens")
        if match:
            ids.append(int(match[1]))
            end = match.end()
    if not foreign:
        return ids
    problem = f"{len(foreign)} pieces of text are no <CODEC_i> tokens: {_some(foreign)}"
    if on_invalid != "drop":
        raise TokenError(problem)
    warnings.warn(f"dropped: {problem}", stacklevel=4)
    return ids


def _in_range(ids: np.ndarray, codebook_size: int, on_invalid: str) -> np.ndarray:
    """Ids (Q, F) in [0, codebook_size): raises, drops whole frames or clips, as `parse_codes` says."""
    bad = np.asarray((ids < 0) | (ids >= codebook_size), dtype=bool)
    if not bad.any():
        return ids
    places = np.argwhere(bad)
    examples = [f"{ids[q, f]} at {f if len(ids) == 1 else f'level {q}, frame {f}'}" for q, f in places[:_SHOWN]]
    problem = f"{len(places)} of {ids.size} tokens are outside [0, {codebook_size}): {_some(examples, len(places))}"
    if on_invalid == "raise":
        raise TokenError(f'{problem}. Decode with the codec that made them, or pass on_invalid="drop" or "nearest"')
    if on_invalid == "drop":
        warnings.warn(f"dropped {int(bad.any(axis=0).sum())} frames: {problem}", stacklevel=4)
        return ids[:, ~bad.any(axis=0)]
    warnings.warn(f"moved into the range: {problem}", stacklevel=4)
    # Comparing with whole Python numbers is exact where an unsigned type could not hold the lower bound.
    return np.where(ids < 0, 0, np.where(ids >= codebook_size, codebook_size - 1, ids))


def _some(items: Sequence[str], total: int | None = None) -> str:
    total = len(items) if total is None else total
    return ", ".join(items[:_SHOWN]) + (f" and {total - _SHOWN} more" if total > _SHOWN else "")
