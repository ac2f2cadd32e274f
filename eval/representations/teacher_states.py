"""A frozen speech encoder as a representation: the mean over some of its layers.

Letters: S samples, F frames, W width, L layers taken.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from eval.harness.model_specs import LoadError, UnknownSpecError
from eval.representations.representation import checked_samples
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError, SemanticConfig, check_semantic
from soundcodec_llmcodec.nn.model import framed_samples
from soundcodec_llmcodec.nn.semantic import semantic_encoder
from soundcodec_llmcodec.teachers import load_teacher
from soundcodec_llmcodec.weights_files import TeacherError


class TeacherStates:
    """Layers' states, each of zero mean and unit variance over its features, averaged."""

    def __init__(self, teacher: str, name: str, layers: tuple[int, ...] | None = None, device: str = "cpu") -> None:
        """The layers of a codec's semantic branch for None. Raises UnknownSpecError for layers that cannot be, and
        LoadError where the teacher cannot be had."""
        self.name, self.device = name, device
        self.framing = CodecConfig()
        try:
            config = SemanticConfig(teacher=teacher)
            self.config = config if layers is None else dataclasses.replace(config, layers=layers)
            check_semantic(self.config, self.framing)
            encoder = semantic_encoder(self.config, self.framing)
            self.weights_hash = load_teacher(encoder)
        except ConfigError as error:
            raise UnknownSpecError(f"{name}: {error}") from error
        except TeacherError as error:
            raise LoadError(str(error)) from error
        self.encoder = encoder.to(device)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.framing.frame_rate

    @property
    def dimensions(self) -> int:
        """Features of a frame, W."""
        return self.config.width

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Samples (S,) to float32 (F, W)."""
        padded = framed_samples(torch.from_numpy(np.array(checked_samples(samples))), self.framing)
        with torch.no_grad():
            states = self.encoder(padded[None].to(self.device), None, exact=True)[0]
        return states.unflatten(1, (len(self.config.layers), self.config.width)).mean(1).cpu().numpy()

    def facts(self) -> dict[str, Any]:
        """The encoder, its layers and the hash of its weights."""
        layers = list(self.config.layers)
        return {"kind": "teacher", "teacher": self.config.teacher, "layers": layers, "weights_hash": self.weights_hash}
