"""The codebook's use that a run logs."""

from __future__ import annotations

import torch

from soundcodec_llmcodec.train.codec_validation import CodebookUse


def test_codebook_use_of_known_counts():
    use = CodebookUse.of(torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]]), 512)
    assert (use.tokens, use.codes, use.entropy_bits, use.perplexity) == (8, 4, 2.0, 4.0)
    assert CodebookUse.of(torch.zeros(5, dtype=torch.int64), 512).entropy_bits == 0
