"""What a run's folder gives away: the codec, the published-style file, the language model, a bundle to go on from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.runs.checkpoint_folders import CHECKPOINTS, checkpoints_in, read_facts
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.resuming import PLACES
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.card import changes, model_card, run_facts, without_folders
from soundcodec_llmcodec.train.codec_export import export_bundle, export_codec, export_lm, export_published
from soundcodec_llmcodec.train.codec_state import TrainState
from soundcodec_llmcodec.train.export_kinds import KINDS
from soundcodec_llmcodec.train.loss_names import LANGUAGE
from soundcodec_llmcodec.train.objectives.language import Start
from soundcodec_llmcodec.train.train_config import TrainConfig, make_config

PUBLISHED_FILE = "llm-codec.pt"
# Where files lie on this machine is nobody else's business.
_DEFAULTS = TrainConfig(losses={"mel": LossSchedule(1.0)})
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def export_run(run: Path, kinds: tuple[str, ...], out: Path, dtype: torch.dtype = torch.float16) -> list[Path]:
    """Export a run's newest checkpoint: each of `kinds` (of KINDS) into a folder of its name below `out`.

    Raises TrainConfigError where there is no checkpoint, or nothing of a kind.
    """
    state = load_state(run)
    if "lm" in kinds and state.language is None:
        has = " ".join(kind for kind in KINDS if kind != "lm")
        raise TrainConfigError(
            f"this run trained no language part, so there is no language model to export; it has --kinds {has}"
        )
    written = []
    for kind in kinds:
        if kind == "codec":
            written.append(export_trained_codec(run, state, out / kind, {}, dtype))
        elif kind == "published":
            (out / kind).mkdir(parents=True, exist_ok=True)
            written.append(export_published(out / kind / PUBLISHED_FILE, state.average))
            with written_whole(out / kind / "README.md") as path:
                path.write_text(_card(run, state, run.resolve().name), encoding="utf-8")
        elif kind == "lm":
            written.append(_export_lm(state, out / kind, _card(run, state, f"{run.resolve().name} language model")))
        elif kind == "bundle":
            facts = {"step": state.step, "config": _recipe(state.config)}
            card = _card(run, state, f"{run.resolve().name} to go on from")
            written.append(export_bundle(out / kind, dict(state.parts()), facts, card))
        else:
            raise TrainConfigError(f"unknown export {kind!r}; there are {', '.join(KINDS)}")
    return written


def load_state(run: Path) -> TrainState:
    """The state of a run's newest checkpoint, on the CPU, without its data. Raises TrainConfigError without one."""
    saved = checkpoints_in(run / CHECKPOINTS)
    if not saved:
        raise TrainConfigError(f"nothing to export: no checkpoint is in {run / CHECKPOINTS}")
    facts = read_facts(saved[-1])
    config = make_config({**facts["config"], "init": None, "compile": False})
    state = TrainState.create(config, torch.device("cpu"), _shapes_of(config, facts))
    state.load(saved[-1])
    return state


def export_trained_codec(
    run: Path, state: TrainState, folder: Path, info: Mapping[str, Any], dtype: torch.dtype = torch.float16
) -> Path:
    """Write the averaged model as a codec checkpoint, with its card and what it was trained on and for how long."""
    facts = run_facts(run)
    data: dict[str, Any] = {key: facts[key] for key in ("clips", "hours", "unreadable") if key in facts}
    trained: dict[str, Any] = {"steps": state.step, "recipe": _recipe(state.config), **data}
    name = run.resolve().name
    codec = state.config.codec_config
    return export_codec(folder, codec, state.average, {**info, "trained": trained}, dtype, _card(run, state, name))


def _card(run: Path, state: TrainState, name: str) -> str:
    config = state.config
    losses: dict[str, Any] = {
        loss: {key: value for key, value in vars(schedule).items() if value not in (0, None)}
        for loss, schedule in config.losses.items()
        if not schedule.is_off
    }
    facts: dict[str, Any] = {
        **run_facts(run),
        "name": name,
        "codec": config.codec_config.to_dict(),
        "parameters": sum(parameter.numel() for parameter in state.average.parameters()),
        "batch": f"{config.batch_size} x {config.segment_s:g} s",
        "losses": losses,
        "base": "the defaults",
        # The losses have a table of their own.
        "changes": changes({**_recipe(_DEFAULTS), "losses": {}}, {**_recipe(config), "losses": {}}),
    }
    if _HUB_ID.fullmatch(config.language.model) and config.uses(*LANGUAGE):
        facts["base_model"] = config.language.model
    return model_card(facts)


def _recipe(config: TrainConfig) -> dict[str, Any]:
    return without_folders({key: value for key, value in config.to_dict().items() if key not in PLACES})


def _shapes_of(config: TrainConfig, saved: Mapping[str, Any]) -> Start | None:
    """Rows of the right shapes for the language part, which loading fills."""
    if not config.uses(*LANGUAGE):
        return None
    shapes = saved["language_shapes"]
    rows = torch.zeros(shapes["codes"], shapes["width"])
    return Start(rows, rows.clone(), shapes["depth"])


def _export_lm(state: TrainState, folder: Path, card: str) -> Path:
    language = state.language
    if language is None:
        raise TrainConfigError("this run trained no language part, so there is no language model to export")
    from soundcodec_llmcodec.lm.backbone import load_causal_lm
    from soundcodec_llmcodec.lm.extend import extend_lm

    model, tokenizer = load_causal_lm(state.config.language.model)
    extended = extend_lm(
        model, tokenizer, state.config.codec_config.codebook_size, seed=state.config.seed, in_place=True
    )
    with torch.no_grad():
        rows, heads = language.tables(state.average.tokenizer.vq.levels[0].codebook)
    # The first head has learnt to say the next token, which is what an LLM's own head does.
    head = None if extended.is_tied else heads[0].detach()
    return export_lm(folder, extended, rows.detach(), head, card)
