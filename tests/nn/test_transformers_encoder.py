"""HuBERT and its kin as frozen speech encoders: their own numbers, on the codec's frames, in bounded exact blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from soundcodec_llmcodec import coding
from soundcodec_llmcodec.config import CodecConfig, ConfigError
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import framed_samples
from soundcodec_llmcodec.streaming import StreamEncoder
from soundcodec_llmcodec.teachers import load_teacher
from tests.tiny_speech_models import KINDS, speech_folder, speech_model

pytest.importorskip("transformers", reason="needs the extra lm")


def codec_of(folder, **fields) -> LLMCodec:
    semantic = {"teacher": str(folder), "layers": [0, 1, 2], "block_frames": 12, "context_frames": 4, **fields}
    codec = LLMCodec.random(CodecConfig.from_dict({**CodecConfig.preset("tiny").to_dict(), "semantic": semantic}))
    load_teacher(codec.model.tokenizer.semantic.encoder)
    return codec


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def codec(kind, tmp_path_factory):
    return codec_of(speech_folder(tmp_path_factory.mktemp("model"), kind))


@torch.no_grad()
def test_states_are_those_of_transformers_for_the_same_samples(codec, kind, noise):
    """A frame sees its hop and 40 samples on either side, so ten see 3280; layer 0 is the first layer's input."""
    encoder, clip = codec.model.tokenizer.semantic.encoder, noise(320 * 40)
    padded = framed_samples(clip, codec.config)[None]
    states = encoder.spans(encoder.begun(padded)[:, 5:15])
    samples = clip[None, 5 * 320 - 40 : 15 * 320 + 40]
    if kind.startswith("large"):
        samples = (samples - samples.mean()) / (samples.var(unbiased=False) + 1e-7).sqrt()
    theirs = speech_model(kind)(samples, output_hidden_states=True).hidden_states
    expected = torch.cat([functional.layer_norm(theirs[layer], (32,)) for layer in (0, 1, 2)], dim=-1)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_blocks_one_by_one_are_all_blocks_together_also_beside_a_longer_clip(codec, noise):
    encoder = codec.model.tokenizer.semantic.encoder
    padded = torch.stack([framed_samples(noise(320 * 40, seed), codec.config) for seed in (1, 2)])
    mask = torch.arange(40)[None] < torch.tensor([[40], [17]])
    one_by_one, together = encoder(padded, mask, True), encoder(padded, mask, False)
    torch.testing.assert_close(one_by_one[mask], together[mask], atol=1e-5, rtol=0)
    alone = encoder(padded[1:, : 16 * 320 + 1280], None, True)
    assert torch.equal(one_by_one[1:, :17], alone)


@torch.no_grad()
def test_states_depend_on_their_block_and_its_context_alone(codec, noise):
    """Blocks of 12 with 4 more on either side, 40 samples of the neighbours included."""
    encoder, clip = codec.model.tokenizer.semantic.encoder, noise(320 * 60)
    before = encoder(framed_samples(clip, codec.config)[None], exact=True)[0]

    def touched(sample: int) -> list[int]:
        changed = clip.clone()
        changed[sample] += 0.5
        after = encoder(framed_samples(changed, codec.config)[None], exact=True)[0]
        return (after != before).any(dim=1).nonzero().flatten().tolist()

    assert touched(320 * 30 + 160) == list(range(24, 36))
    # Frame 37 lies in the context of the block before, too.
    assert touched(320 * 37 + 160) == list(range(24, 48))
    # 40 samples before frame 20 it is seen by that frame, the first of the next block's context; at 41 it is not.
    assert touched(320 * 20 - 40) == list(range(12, 36))
    assert touched(320 * 20 - 41) == list(range(12, 24))


def test_batch_chunks_and_streams_give_the_tokens_of_the_clip_alone(codec, noise):
    clips = [noise(320 * n + n, n) for n in (30, 3, 14, 14)]
    batch = codec.encode_samples_batch(clips)
    assert all(torch.equal(codes, codec.encode_samples(clip)) for codes, clip in zip(batch, clips, strict=True))
    clip = noise(320 * 100 + 77)
    whole = coding.encode(codec.model, clip, None, 10**9)
    for chunk in (24, 50):
        assert torch.equal(coding.encode(codec.model, clip, None, chunk), whole)
    stream = StreamEncoder(codec.model, 16_000, chunk_frames=5)
    parts = [stream.push(np.asarray(piece)) for piece in clip.split(1_111)]
    assert torch.equal(torch.cat([*parts, stream.flush()]), whole[0])


def test_it_stays_in_eval_mode_and_gives_no_gradient(codec, noise):
    """train() of the codec must not wake the model's dropout, layer drop and masks."""
    branch = codec.model.tokenizer.semantic
    padded = framed_samples(noise(320 * 20), codec.config)[None]
    codec.model.train()
    branch.out.requires_grad_(True)
    try:
        assert not any(part.training for part in branch.encoder.modules())
        states = branch.states(padded)
        assert torch.equal(branch.states(padded), states)
        codec.model.tokenizer.features(padded).sum().backward()
        assert not states.requires_grad
        assert float(branch.out.weight.grad.abs().sum()) > 0
        assert all(value.grad is None and not value.requires_grad for value in branch.encoder.parameters())
    finally:
        codec.model.eval().requires_grad_(False)


def test_sizes_come_from_the_teacher_and_stand_in_the_config(codec, tmp_path):
    semantic = codec.config.semantic
    assert (semantic.width, semantic.heads, semantic.ffn_width, semantic.family) == (32, 2, 48, "transformers")
    plain = codec.config.to_dict()
    assert plain["semantic"]["architecture"]["num_hidden_layers"] == 3
    # With them, nothing of the teacher is asked for.
    plain["semantic"]["teacher"] = str(tmp_path / "gone")
    assert CodecConfig.from_dict(plain).semantic.width == 32


def test_well_known_models_need_no_network_to_be_named():
    for teacher in ("facebook/hubert-base-ls960", "facebook/wav2vec2-base", "microsoft/wavlm-base-plus"):
        config = CodecConfig(semantic={"teacher": teacher, "layers": list(range(1, 13))})
        assert (config.semantic.width, config.semantic.heads, config.semantic.ffn_width) == (768, 12, 3072)
        assert CodecConfig.from_dict(config.to_dict()) == config
    import transformers

    for teacher, kind in (("facebook/hubert-base-ls960", "Hubert"), ("microsoft/wavlm-base-plus", "WavLM")):
        held = SemanticConfig(teacher=teacher).architecture
        default = getattr(transformers, f"{kind}Config")().to_dict()
        assert {key: value for key, value in held.items() if key != "model_type"} == {
            key: list(default[key]) if isinstance(default[key], tuple) else default[key]
            for key in held
            if key != "model_type"
        }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_type": "bert"}, "model_type of hubert"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 1]}, "a frame every 160"),
        ({"conv_dim": [16] * 6}, "different lengths"),
        ({"hidden_size": -1}, "hidden_size takes numbers"),
        ({"code": "x"}, "should not have, the keys code"),
    ],
)
def test_models_that_cannot_teach_are_refused(codec, changed, message):
    plain = codec.config.to_dict()
    plain["semantic"]["architecture"] |= changed
    with pytest.raises(ConfigError, match=message):
        CodecConfig.from_dict(plain)
