"""A codec of transformers in the form of a codec of one's own, so that its tokens are measured as one's are.

`hf:ID` codes all levels, `hf:ID?bandwidth=0.5` (X-Codec, EnCodec) or `hf:ID?num_quantizers=1` (DAC, Mimi) as many as
that names. Each frame's levels come after one another.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness import fingerprints, hf_families, hf_models
from eval.harness.include import Included
from eval.harness.model_specs import ReconstructionError, UnknownSpecError, with_options

PREFIX = "hf:"


class HuggingFaceTokens:
    """A model's codes, and nothing of its decoder: recordings are measured by superb_tiny.py."""

    def __init__(self, source: str, options: Mapping[str, str], device: str = "cpu") -> None:
        """Load it. Raises LoadError and UnknownSpecError as `hf_models.family_of` does."""
        import transformers

        family = hf_models.family_of(source, options, device)
        self._family = family
        self.sample_rate = family.input_rate
        self.codebook_size = family.codebook_size
        self.num_quantizers = family.num_quantizers
        self.token_rate = family.frame_rate * family.num_quantizers
        self.weights_hash = fingerprints.of_model(family.model, family.model.config.to_json_string())
        self.identity = f"weights {self.weights_hash}; options {family.chosen}; transformers {transformers.__version__}"

    def encode(self, audio: np.ndarray) -> np.ndarray:
        """Samples float32 (S,) at `sample_rate` to codes int64 (Q, F)."""
        import torch

        with torch.inference_mode():
            codes = self._family.encode(audio).codes
        return np.asarray(codes.cpu().numpy(), np.int64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Raises ReconstructionError: some models decode from more than codes (EnCodec's scales), which tokens lack."""
        raise ReconstructionError(
            "tokens of a codec of transformers are not decoded here; superb_tiny.py --models hf:ID measures its audio"
        )

    def vectors(self, codes: np.ndarray) -> np.ndarray:
        """Codes int64 (Q', F) of the first Q' levels to the vectors that they stand for, float32 (F, D).

        Raises LoadError for a type of model that has none by level.
        """
        import torch

        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(codes)).to(self._family.model.device)
            return np.asarray(self._family.vectors(tensor).float().cpu().numpy())


def hf_codec(spec: str) -> Included | None:
    """The codec that `hf:REPO_OR_FOLDER[?key=value&...]` means, which nothing is loaded of; None for another spec."""
    if not spec.startswith(PREFIX):
        return None
    source, options = with_options(spec, spec.removeprefix(PREFIX))
    name = "_".join([Path(source).name, *(f"{key}_{value}" for key, value in options.items())])
    if not name:
        raise UnknownSpecError(f"{spec!r} names nothing; expected hf:REPO_OR_FOLDER[?key=value]")
    # Of the code that asks the model; the weights are in the codec's own `identity`.
    digest = hashlib.sha256(_sources().encode()).hexdigest()
    value: Any = functools.partial(HuggingFaceTokens, source, options)
    return Included("codec", name, value, spec, digest)


def _sources() -> str:
    return fingerprints.of_sources(Path(__file__), Path(hf_families.__file__), Path(hf_models.__file__))
