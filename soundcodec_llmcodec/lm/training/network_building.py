"""From a config to the network that trains, and from that to an ordinary model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.characters import Characters
from soundcodec_llmcodec.lm.packages import lm_package
from soundcodec_llmcodec.lm.training.embedding_rows import codebook_of
from soundcodec_llmcodec.lm.training.finetuning import finetuned_network
from soundcodec_llmcodec.lm.training.lm_config import LMTrainConfig
from soundcodec_llmcodec.lm.training.network import Network, seeded
from soundcodec_llmcodec.lm.training.scratch import scratch_network, with_room
from soundcodec_llmcodec.lm.weights import input_embedding, output_head
from soundcodec_llmcodec.vocabulary import TokenSpec


@dataclass(frozen=True)
class Finished:
    """A trained model as transformers knows it, with everything in place: what is exported."""

    model: Any
    tokenizer: Any | None
    spec: TokenSpec
    bos_id: int | None
    eos_id: int | None
    text: Characters | None = None


def build(config: LMTrainConfig, source: TokenSource, characters: str = "") -> Network:
    """The network to train, drawn by the config's seed; `characters` are those that it knows, where it speaks text.

    Raises TrainConfigError, BackboneError, or ImportError, which names the extra.
    """
    lm_package("transformers", "training a language model")
    with seeded(config.seed):
        if config.start == "finetune":
            return finetuned_network(config.finetune, source.vocabulary_size, config.seed)
        codebook = codebook_of(config.codec, source) if config.scratch.rows.kind == "codebook" else None
        return scratch_network(config.scratch, source.vocabulary_size, codebook, len(characters))


def base_facts(config: LMTrainConfig, network: Network) -> dict[str, Any]:
    """What identifies the weights that a run begins with and does not keep: those that do not train."""
    if config.start == "scratch" or config.finetune.tune == "all":
        return {}
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    return {"frozen": len(frozen), "frozen_hash": _frozen_hash(network, set(frozen))}


def finished(network: Network, config: LMTrainConfig, characters: str = "") -> Finished:
    """The network as an ordinary model, in eval mode; `network` itself is used up.

    Rows that came from modules are put into the model's matrices, low-rank changes are added to its weights.
    """
    network.eval()
    layout = network.layout
    with torch.no_grad():
        entering, leaving = (table.detach().clone() for table in network.tables()[:2])
    lm = network.lm if network.adapters is None else network.adapters.merge_and_unload()
    if not network.holds_codes:
        lm = with_room(lm, config.scratch, network)
    with torch.no_grad():
        input_embedding(lm).weight.copy_(entering)
        output_head(lm).weight.copy_(leaving)
    text = None if layout.text_id is None else Characters(characters, layout.text_id)
    return Finished(lm.eval(), network.tokenizer, network.spec, layout.bos_id, layout.eos_id, text)


def _frozen_hash(network: Network, names: set[str]) -> str:
    digest = hashlib.sha256()
    for name, parameter in sorted(network.named_parameters()):
        if name in names:
            digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}\n".encode())
            digest.update(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
