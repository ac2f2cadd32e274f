"""What is compared: a codec with a language model over its tokens, written `[LABEL=]CODEC[@LM]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.harness import include
from eval.harness.codec_tokenizer import AudioTokenizer, CodecTokenizer
from eval.harness.included_tokenizer import IncludedTokenizer
from eval.harness.model_specs import LoadError, UnknownSpecError, check_labels, labelled, place_name
from eval.salmon.pair_scores import ModelInfo
from soundcodec_llmcodec.nearest import nearest

# torch and transformers are imported where a model is loaded: names are checked, and refused, without them.
if TYPE_CHECKING:
    from soundcodec_llmcodec.lm.scores import TokenLM

BUNDLED, UNIFORM = "bundled", "uniform"
DEFAULT_CODEC = "llmcodec"
SPEC_SIGNS = ":/?@"
FORMS = {
    "CODEC": "a codec of soundcodec_llmcodec by name, a checkpoint's folder or file, a hub id owner/name, or a "
    "codec of one's own as FILE.py:NAME, or its NAME with --include",
    "LM": "bundled (for llmcodec, and its default), uniform (every token equally likely), a token LM's folder, "
    "which `llmcodec lm train` and `llmcodec lm count` make, or a folder or hub id of a model with <CODEC_i> tokens",
}

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True)
class SalmonModelSpec:
    """A model to load: what was written, what tables call it, its codec and its language model."""

    text: str
    label: str
    codec: str
    lm: str


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model."""

    info: ModelInfo
    tokenizer: AudioTokenizer
    lm: TokenLM


def parse(text: str) -> SalmonModelSpec:
    """The model that `[LABEL=]CODEC[@LM]` means. Nothing is loaded; only names and folders are looked at.

    LABEL holds no '=', ':', '/', '?' or '@'; without it, a model is called as it is written, a folder by its name.
    Raises UnknownSpecError.
    """
    label, spec = labelled(text, SPEC_SIGNS)
    codec, at, lm = (spec, "", "") if Path(spec).expanduser().exists() else spec.rpartition("@")
    if not at:
        codec, lm = spec, ""
    if label == "" or not codec or (at and not lm):
        raise UnknownSpecError(f"expected [LABEL=]CODEC[@LM], got {text!r}; {_forms()}")
    codec_name = _checked_codec(codec)
    if not at and codec != DEFAULT_CODEC:
        raise UnknownSpecError(
            f"{text!r} names no language model, and only {DEFAULT_CODEC} has one of its own; write {codec}@FOLDER "
            f"with one that was trained on its tokens (llmcodec lm train), or {codec}@{UNIFORM}"
        )
    lm = lm or BUNDLED
    lm_name = _checked_lm(lm)
    return SalmonModelSpec(text, label or (f"{codec_name}@{lm_name}" if at else codec_name), codec, lm)


def check(texts: Sequence[str]) -> tuple[SalmonModelSpec, ...]:
    """The models that the texts mean, told apart by label.

    Raises UnknownSpecError as `parse` does, and ValueError for two of one label or a label that no table can hold.
    """
    specs = tuple(parse(text) for text in texts)
    check_labels([spec.label for spec in specs], "model", "LABEL=CODEC@LM")
    return specs


class Loader:
    """Loads models; those of one codec share it."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._codecs: dict[str, CodecTokenizer | IncludedTokenizer] = {}

    def load(self, spec: SalmonModelSpec) -> Model:
        """The model. Raises LoadError where a part of it cannot be had here, and CodecMismatchError where the
        language model was trained on another codec's tokens."""
        from soundcodec_llmcodec.lm.lm_folder import TokenLMError
        from soundcodec_llmcodec.lm.loading import load_token_lm
        from soundcodec_llmcodec.lm.scores import check_codec
        from soundcodec_llmcodec.weights_files import CheckpointError

        try:
            tokenizer = self._codec(spec.codec)
            lm = load_token_lm(spec.lm, source=tokenizer.source, device=self._device, dtype="float32")
        except (CheckpointError, LoadError, TokenLMError, ImportError, OSError) as error:
            raise LoadError(" ".join(str(error).split())) from error
        source = tokenizer.source
        check_codec(lm, source.codec_hash, source.codec_name)
        if lm.vocabulary_size != source.vocabulary_size:
            raise UnknownSpecError(
                f"{spec.label}: the language model {lm.name} knows {lm.vocabulary_size} tokens, but the codec "
                f"{source.codec_name} has {source.vocabulary_size}"
            )
        info = ModelInfo(
            name=spec.label,
            codec=source.codec_name,
            codec_hash=source.codec_hash,
            lm=lm.name,
            lm_identity=lm.identity,
            lm_prefix=lm.prefix,
            vocabulary_size=lm.vocabulary_size,
            token_rate=source.token_rate,
            bitrate_bps=tokenizer.bitrate_bps,
            lm_parameters=getattr(lm, "parameters", None),
        )
        return Model(info, tokenizer, lm)

    def _codec(self, name: str) -> CodecTokenizer | IncludedTokenizer:
        from eval.harness.checked_codec import IncludedCodec, included_codec
        from soundcodec_llmcodec import checkpoints
        from soundcodec_llmcodec.llmcodec import LLMCodec

        entry = included_codec(name) if name not in self._codecs else None
        if entry is not None:
            self._codecs[name] = IncludedTokenizer(IncludedCodec(entry))
        if name not in self._codecs:
            path = Path(name).expanduser()
            place = str(path) if path.exists() and name not in _names() else checkpoints.resolve(name)
            self._codecs[name] = CodecTokenizer(LLMCodec.from_pretrained(place, device=self._device))
        return self._codecs[name]


def _names() -> list[str]:
    from soundcodec_llmcodec.codec import list_codec

    return list_codec()


def _checked_codec(codec: str) -> str:
    """What tables call the codec. Raises UnknownSpecError where the text means none."""
    from eval.harness.checked_codec import included_codec
    from soundcodec_llmcodec.checkpoint_files import WEIGHTS_FILE

    entry = included_codec(codec)
    if entry is not None:
        return entry.name
    names = [*_names(), *include.included("codec")]
    if codec in names:
        return codec
    path = Path(codec).expanduser()
    if path.exists():
        return place_name(path, WEIGHTS_FILE)
    if _HUB_ID.fullmatch(codec) and not codec.startswith("."):
        return codec
    hint = f" Did you mean {near!r}?" if (near := nearest(codec, names)) else ""
    raise UnknownSpecError(f"{codec!r} means no codec.{hint} {_forms()}")


def _checked_lm(lm: str) -> str:
    """What tables call the language model. Raises UnknownSpecError where the text means none."""
    if lm in (BUNDLED, UNIFORM):
        return lm
    path = Path(lm).expanduser()
    if not path.is_dir():
        from soundcodec_llmcodec.lm.loading import is_hub_lm

        if is_hub_lm(lm):
            return lm
        hint = f" Did you mean {near!r}?" if (near := nearest(lm, (BUNDLED, UNIFORM))) else ""
        raise UnknownSpecError(f"there is no language model {lm!r}: no such folder.{hint} {_forms()}")
    return path.resolve().name


def _forms() -> str:
    return "; ".join(f"{name} is {form}" for name, form in FORMS.items())
