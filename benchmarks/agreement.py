"""How far tokens agree between one clip alone, in a batch, and in chunks.

    python benchmarks/agreement.py FOLDER_OR_PARQUET[:SPLIT] --minutes 2

Prints, for the bundled codec, the tokens that differ between single and batched coding (with the second look at
near-ties and without it), and the share that chunks change: none where attention is bounded, some where it is not.
"""

from __future__ import annotations

import argparse

import torch

from soundcodec_llmcodec import CodecConfig, LLMCodec, coding
from soundcodec_llmcodec.audio import mono, resample
from soundcodec_llmcodec.data import open_dataset
from soundcodec_llmcodec.nn.model import CodecModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=2, help="length of the joined clip that is cut into chunks")
    arguments = parser.parse_args()
    clips = []
    for item in open_dataset(arguments.data).rows():
        clip = item.clip()
        clips.append(torch.from_numpy(resample(mono(clip), clip.sampling_rate, 16_000)))
    codec = LLMCodec.from_pretrained()
    batches(codec.model, clips)
    joined = torch.cat(clips)[: int(arguments.minutes * 60 * 16_000)]
    chunks("bundled checkpoint", codec.model, joined)
    unbounded = CodecModel(CodecConfig.from_dict({**codec.config.to_dict(), "attention_window": None})).eval()
    unbounded.load_state_dict(codec.model.state_dict())
    chunks("its weights with whole-clip attention", unbounded, joined)
    chunks("published preset, random weights", LLMCodec.random(CodecConfig.preset("published")).model, joined)


def batches(model: CodecModel, clips: list[torch.Tensor]) -> None:
    alone = [coding.encode(model, clip, None, coding.CHUNK_FRAMES) for clip in clips]
    tokens = sum(codes.numel() for codes in alone)
    margin = coding.TIE_MARGIN
    for label, coding.TIE_MARGIN in (("with the second look", margin), ("without it", 0.0)):
        together = coding.encode_batch(model, clips, None, coding.CHUNK_FRAMES)
        differ = sum(int((a != b).sum()) for a, b in zip(alone, together, strict=True))
        print(f"single and batch, {label}: {differ} of {tokens} tokens differ ({len(clips)} clips)")
    coding.TIE_MARGIN = margin


def chunks(label: str, model: CodecModel, clip: torch.Tensor) -> None:
    whole = coding.encode(model, clip, None, 10**9)
    chunked = coding.encode(model, clip, None, coding.CHUNK_FRAMES)
    share = (whole != chunked).float().mean().item()
    print(f"whole and chunks of {coding.CHUNK_FRAMES} frames, {label}: {share:.1%} of {whole.numel()} tokens differ")


if __name__ == "__main__":
    main()
