"""What generation with an extended language model needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.vocabulary import TokenSpec

try:
    from transformers import LogitsProcessor
except ImportError as error:
    raise ImportError(missing("generating codes", "transformers", "lm")) from error


class CodesOnly(LogitsProcessor):
    """Lets a language model generate codes alone, and `also` these ids, such as the one that ends."""

    def __init__(self, spec: TokenSpec, also: Sequence[int] = ()) -> None:
        self.spec = spec
        self.also = list(also)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores (B, rows) with -inf for every other id."""
        allowed = torch.full_like(scores, -torch.inf)
        codes = slice(self.spec.first_id, self.spec.end_id)
        allowed[:, codes] = scores[:, codes]
        allowed[:, self.also] = scores[:, self.also]
        return allowed  # type: ignore[return-value]
