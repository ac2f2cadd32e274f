"""HuBERT, wav2vec 2.0 and WavLM of transformers as speech encoders, in the library's own layers.

They give floor((S - 400) / 320) + 1 frames for S samples, where the codec has ceil(S / 320). Here a frame's 400 samples
are centred on the codec's hop: 40 of the neighbours on either side, which at a clip's ends are its reflection. So F
frames see 320 * F + 80 samples, and come out as F frames. The norm over time of the first convolution, the positions by
convolution and attention see a block with its context.

Letters: B batch, S samples, F frames, W width, N n_fft, L layers taken, P samples that a frame's convolutions see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.nn.semantic_encoder import SemanticEncoder
from soundcodec_llmcodec.teacher_sizes import samples_of_a_frame

# What a model in eval mode does not do; 0 so that nothing can wake it.
_NEVER_RANDOM = {
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "attention_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
    "layerdrop": 0.0,
    "apply_spec_augment": False,
    "mask_time_prob": 0.0,
    "mask_feature_prob": 0.0,
}
_VARIANCE_ADDED = 1e-7  # as transformers' feature extractor normalises


class TransformersEncoder(SemanticEncoder):
    """A model of transformers up to the last layer that is taken; layer 0 is what its first layer sees."""

    def __init__(self, config: SemanticConfig, codec: CodecConfig) -> None:
        super().__init__(config)
        architecture = config.architecture or {}
        self.begun_width = samples_of_a_frame(architecture)
        self.hop_length = codec.hop_length
        self.first = (codec.n_fft - self.begun_width) // 2
        self.last = codec.n_fft - self.begun_width - self.first
        # Models with a norm in each convolution were trained on audio of variance 1. A norm over time in the first one
        # takes the level away by itself.
        self.levels_out = architecture["feat_extract_norm"] == "layer"
        self.model = transformers_model(architecture, max(config.layers))

    def begun(self, padded: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) samples to each frame's own (B, F, P)."""
        stop = padded.shape[1] - self.last
        return padded[:, self.first : stop].float().unfold(1, self.begun_width, self.hop_length)

    def spans(self, begun: Tensor) -> Tensor:
        """Stretches of a clip (B, F, P), each for itself and seen whole, to their states (B, F, L * W)."""
        samples = torch.cat((begun[:, 0], begun[:, 1:, -self.hop_length :].flatten(1)), dim=1)
        if self.levels_out:
            spread = samples.var(dim=1, keepdim=True, unbiased=False) + _VARIANCE_ADDED
            samples = (samples - samples.mean(dim=1, keepdim=True)) * spread.rsqrt()
        return self.taken(self.model(samples, output_hidden_states=True, return_dict=True).hidden_states)


def transformers_model(architecture: Mapping[str, Any], depth: int) -> nn.Module:
    """A model of transformers with its first `depth` layers, with weights that are yet to be loaded.

    Its positions' convolution has plain weights in place of a weight norm's direction and length: a frozen one needs
    no more. Raises ImportError where transformers is missing.
    """
    try:
        import transformers
    except ImportError as error:
        raise ImportError(missing("a HuBERT, wav2vec 2.0 or WavLM teacher", "transformers", "lm")) from error
    config_type, model_type = {
        "hubert": (transformers.HubertConfig, transformers.HubertModel),
        "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
        "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
    }[architecture["model_type"]]
    fields = {key: value for key, value in architecture.items() if key != "model_type"}
    whole_depth = fields.pop("num_hidden_layers")
    depth = max(1, depth)
    model: nn.Module = model_type(config_type(**fields, **_NEVER_RANDOM, num_hidden_layers=depth))
    positions: Any = model.encoder.pos_conv_embed  # type: ignore[union-attr]
    normed = positions.conv
    positions.conv = nn.Conv1d(
        normed.in_channels, normed.out_channels, normed.kernel_size, padding=normed.padding, groups=normed.groups
    )
    if architecture["do_stable_layer_norm"] and depth < whole_depth:
        # The norm after the last of all layers, which here is another one.
        model.encoder.layer_norm = nn.Identity()  # type: ignore[union-attr]
    return model
