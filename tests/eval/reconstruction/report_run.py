"""A small run folder in the documented schema, for the tests of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 16_000
HOSTILE = "<script>alert('x')</script>"
BROKEN = 'hf:"none"/<b>none</b>'
SPLITS = {"Speech": ("s-1", "s-2"), "Music": ("m-1", "m-2")}
# Sorted as text, 10.5 comes before 2.0.
MEL = {"alpha": 10.5, "beta": 9.25, HOSTILE: 2.0, "delta": None, "identity": 0.0}
METRICS = {
    "mel": ("distance of mel spectra", "1", "lower", [0, None]),
    "pesq": ("wide band PESQ", "MOS-LQO", "higher", [1.0, 4.64]),
}


def make(folder: Path) -> Path:
    """Write results.json, clips.jsonl and samples into `folder`, which is made. Returns it."""
    (folder / "samples").mkdir(parents=True)
    samples = [_sample(folder, split, clip_id) for split, ids in SPLITS.items() for clip_id in ids[:1]]
    rows = [_row(model, split, clip_id) for model in MEL for split, ids in SPLITS.items() for clip_id in ids]
    (folder / "results.json").write_text(json.dumps(document(samples)), encoding="utf-8")
    (folder / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def document(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """results.json: three codecs with means, one without, a bound, and one that could not be loaded."""
    splits = [*SPLITS, "Overall"]
    unloaded = {"name": BROKEN, "kind": None, "failure": "no <weights> here", "splits": {}}
    return {
        "schema": "soundcodec-llmcodec/superb-tiny",
        "schema_version": 2,
        "created": "2025-01-02T03:04:05+00:00",
        "for_reporting": False,
        "mark": "NOT FOR REPORTING (--limit 2)",
        "rules": None,
        "command_line": ["eval/superb_tiny.py", "--models", HOSTILE, "--limit", "2"],
        "settings": {"batch_size": 4, "workers": 1, "device": "cpu", "limit": 2},
        "versions": {"python": "3.11.2", "numpy": None},
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "platform": {"system": "Linux", "machine": "x86_64", "cpus": 2},
        "dataset": {
            "name": "small",
            "label": "small & <synthetic>",
            "synthetic": True,
            "revision": None,
            "fingerprint": "f" * 64,
            "clips": {"Speech": 2, "Music": 2, "Overall": 4},
        },
        "metrics": {
            name: {"definition": d, "unit": u, "direction": way, "value_range": ends, "source": "a paper", "version": 1}
            for name, (d, u, way, ends) in METRICS.items()
        },
        "splits": splits,
        "baseline": "alpha",
        "models": [*(_model(name, splits) for name in MEL), unloaded],
        "published": [
            {"name": "far_away", "kbps": 1.5, "token_rate": 75, "splits": {"Speech": {"mel": 0.1}}, "source": "a table"}
        ],
        "samples": samples,
        "failures": [{"model": "delta", "split": "Music", "id": "m-2", "reason": "ended with <code> 1"}],
    }


def _model(name: str, splits: list[str]) -> dict[str, Any]:
    is_bound = name == "identity"
    return {
        "name": name,
        "kind": "bound" if is_bound else "recon",
        "checkpoint": "-",
        "checkpoint_hash": None if is_bound else "ab" * 32,
        "identity": None,
        "sample_rate": RATE,
        "bitrate_bps": None if is_bound else 700.0 + 100 * len(name),
        "token_rate": None if is_bound else 50.0,
        "codebook_size": None,
        "num_quantizers": None,
        "parameters": None,
        "device": "cpu",
        "timed": False,
        "failure": None,
        "splits": {split: _split(name, split) for split in splits},
    }


def _split(name: str, split: str) -> dict[str, Any]:
    compared = {"n": 2, "difference": -1.25, "low": -1.5, "high": -1.0, "p_value": 0.01, "p_adjusted": 0.02}
    clips = [clip for ids in SPLITS.values() for clip in ids] if split == "Overall" else SPLITS[split]
    failed = name == "delta" and split != "Speech"
    return {
        "n": len(clips),
        "failures": [{"split": "Music", "id": "m-2", "reason": "ended with <code> 1"}] if failed else [],
        "bitrate_bps": None if name == "identity" else 700.0 + 100 * len(name),
        "token_rate": None,
        "codes_used": None,
        "codes_total": None,
        "entropy_bits": None,
        "audio_s": 2.0,
        "encode_rtf": None,
        "decode_rtf": None,
        "peak_memory_mib": None,
        "metrics": _means(name, split, len(clips)),
        "sources": {source: {"n": 1, "metrics": _means(name, split, 1)} for source in ("left", "<right>")},
        "against_baseline": {"mel": compared} if name == "beta" else {},
    }


def _means(name: str, split: str, n: int) -> dict[str, Any]:
    mel = MEL[name]
    if mel is None:
        refused = {
            "n": 0,
            "failed": n,
            "mean": None,
            "low": None,
            "high": None,
            "refused": "1 of 2 clips have no value",
        }
        return dict.fromkeys(METRICS, refused)
    # Every split orders the models in another way.
    mel = mel if split == "Speech" else 11 - mel
    return {
        metric: {"n": n, "failed": 0, "mean": mean, "low": mean - 0.5, "high": mean + 0.5, "refused": None}
        for metric, mean in (("mel", mel), ("pesq", 1 + mel / 4))
    }


def _sample(folder: Path, split: str, clip_id: str) -> dict[str, Any]:
    rng = np.random.default_rng(len(clip_id) + len(split))
    files = {}
    for index, model in enumerate(("original", *MEL)):
        if model == "delta":
            continue
        files[model] = f"samples/{split}-{index}.flac"
        soundfile.write(folder / files[model], 0.1 * rng.standard_normal(RATE), RATE, subtype="PCM_16")
    told = {"split": split, "clip_id": clip_id, "source": "left", "rate": RATE, "seconds": 1.0}
    return {**told, "original": files.pop("original"), "models": files}


def _row(model: str, split: str, clip_id: str) -> dict[str, Any]:
    value = MEL[model]
    return {
        "model": model,
        "checkpoint_hash": None,
        "split": split,
        "clip_id": clip_id,
        "source": "left",
        "seconds": 1.0,
        "rate": RATE,
        "digest": "d" * 64,
        "n_tokens": 50,
        "n_bits": None,
        "failure": "ended with <code> 1" if model == "delta" else None,
        "scores": {"mel": value, "pesq": None},
        "weights": {},
        "reasons": {"pesq": "the estimate is silent"},
    }
