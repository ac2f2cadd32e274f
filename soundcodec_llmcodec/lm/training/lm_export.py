"""A trained network as a token-LM folder that needs nothing of this package's training to load."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.lm.training.lm_config import LMTrainConfig, make_config
from soundcodec_llmcodec.lm.training.lm_state import BEST, BEST_FACTS, BEST_TENSORS, CHARACTERS, load_trained
from soundcodec_llmcodec.lm.training.network_building import Finished, build, finished
from soundcodec_llmcodec.runs.checkpoint_folders import CHECKPOINTS, checkpoints_in, read_facts, read_tensors
from soundcodec_llmcodec.runs.errors import TrainConfigError

TRAINING_FILE = "training.json"


@dataclass(frozen=True)
class Trained:
    """A run's weights: its config, codec, the tensors that trained, and what the run says about them; the characters
    that it knows, where it speaks text."""

    config: LMTrainConfig
    source: TokenSource
    tensors: dict[str, Tensor]
    info: dict[str, Any]
    characters: str = ""


def export_run(run: Path, target: Path, which: str = "best", name: str | None = None, codec: str | None = None) -> int:
    """Write the run's best validated weights, or its last, as a token-LM folder of that name (default: the folder's);
    returns their step.

    `codec` names the codec whose code vectors the model's rows are made of, where it is not where it was in training.
    A run without validation has no best weights and gives its last. Raises TrainConfigError where there are none.
    """
    trained = read_run(run, which)
    finished_lm = rebuilt(trained, codec)
    lm = NeuralTokenLM(
        finished_lm.model,
        finished_lm.spec,
        trained.source,
        bos_id=finished_lm.bos_id,
        eos_id=finished_lm.eos_id,
        name=target.name if name is None else name,
        tokenizer=finished_lm.tokenizer,
        text=finished_lm.text,
    )
    lm.save(target, dtype=getattr(torch, trained.config.export_dtype))
    with written_whole(target / TRAINING_FILE) as path:
        path.write_text(json.dumps(trained.info, indent=2) + "\n", encoding="utf-8")
    return int(trained.info["steps"])


def rebuilt(trained: Trained, codec: str | None = None) -> Finished:
    """The trained model as transformers knows it, in the types that it trained in."""
    config = trained.config if codec is None else dataclasses.replace(trained.config, codec=codec)
    network = build(config, trained.source, trained.characters)
    load_trained(network, trained.tensors, "the run")
    return finished(network, config, trained.characters)


def read_run(run: Path, which: str = "best") -> Trained:
    """A run's weights from its folder. Raises TrainConfigError where there are none."""
    saved = checkpoints_in(run / CHECKPOINTS)
    if which == "best" and (run / BEST / BEST_FACTS).is_file():
        facts = json.loads((run / BEST / BEST_FACTS).read_text(encoding="utf-8"))
        tensors = load_file(run / BEST / BEST_TENSORS)
    elif saved:
        facts = read_facts(saved[-1])
        saved_tensors = read_tensors(saved[-1])
        tensors = {key.removeprefix("model."): t for key, t in saved_tensors.items() if key.startswith("model.")}
    else:
        raise TrainConfigError(f"nothing to export: neither {run / BEST} nor {run / CHECKPOINTS} holds trained weights")
    config = make_config(facts["config"])
    about = facts["facts"]
    info = {
        "steps": facts["step"],
        "recipe": {k: v for k, v in config.to_dict().items() if k not in ("tokens", "validation", "codec")},
        "validation": about.get("validation"),
        "corpora": about["corpora"],
    }
    return Trained(config, TokenSource.from_dict(about["token_source"]), tensors, info, about.get(CHARACTERS, ""))
