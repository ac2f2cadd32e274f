"""What a representation can be called: `[LABEL=]SPEC`, parsed without loading anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.harness.model_specs import LoadError, UnknownSpecError, check_labels, labelled, with_options
from eval.representations.representation import Representation
from soundcodec_llmcodec.nearest import did_you_mean

# The forms that a SPEC can have, by kind: for help texts and errors.
FORMS = {
    "quantized": "CODEC[@LEVELS], the code vectors of a codec's first levels (name, folder, file or hub id; default: "
    "all levels)",
    "continuous": "CODEC:continuous, its features before the codebook",
    "random": "random:CODEC, its code vectors of random codes (chance)",
    "mel": "mel, log-mel spectra",
    "teacher": "teacher:NAME[:LAYERS], the mean over a frozen speech encoder's layers (teacher:whisper-tiny.en:2,3,4, "
    "or a HuBERT, wav2vec 2.0 or WavLM of transformers: teacher:facebook/hubert-base-ls960:1,2,3)",
    "hf": "hf:ID[?key=value][@LEVELS], the code vectors of the first levels of a codec of transformers "
    "(hf:hf-audio/xcodec-hubert-librispeech@1)",
}
_CONTINUOUS = "continuous"


@dataclass(frozen=True)
class RepresentationSpec:
    """A representation to load: its label, its kind (a key of FORMS), the codec or teacher, and `numbers`: how many
    levels, or which layers."""

    text: str
    label: str
    kind: str
    target: str = ""
    numbers: tuple[int, ...] = ()


def parse(text: str) -> RepresentationSpec:
    """The representation that `[LABEL=]SPEC` means. Nothing is loaded; codecs' names, folders and files are looked at.

    Raises UnknownSpecError, with the nearest name and the forms that there are.
    """
    given, spec = labelled(text, ":/@?")
    if given == "" or not spec:
        raise UnknownSpecError(f"expected LABEL=SPEC or SPEC, got {text!r}; {forms()}")
    label = given or spec
    if spec == "mel":
        return RepresentationSpec(text, label, "mel")
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in _PREFIXES:
        if not rest:
            raise UnknownSpecError(f"{spec!r} names nothing; expected {FORMS[prefix]}")
        return _PREFIXES[prefix](text, label, rest)
    codec, colon, ending = spec.rpartition(":")
    if colon and ending == _CONTINUOUS:
        return RepresentationSpec(text, label, "continuous", _codec(codec))
    codec, sign, levels = spec.rpartition("@")
    if not sign:
        return RepresentationSpec(text, label, "quantized", _codec(spec))
    if not levels.isdecimal() or int(levels) < 1:
        raise UnknownSpecError(f"expected CODEC@LEVELS with a number of levels from 1 on, got {spec!r}")
    return RepresentationSpec(text, label, "quantized", _codec(codec), (int(levels),))


def check(texts: Sequence[str]) -> tuple[RepresentationSpec, ...]:
    """The representations that the texts mean. Raises UnknownSpecError as `parse` does, and ValueError for two of one
    label."""
    specs = tuple(parse(text) for text in texts)
    check_labels([spec.label for spec in specs], "representation", "LABEL=SPEC")
    return specs


def load(spec: RepresentationSpec, device: str = "cpu") -> Representation:
    """What a spec names. Raises LoadError where weights or a package are missing, and UnknownSpecError for levels or
    layers that it does not have."""
    if spec.kind == "mel":
        from eval.representations.log_mel import LogMel

        return LogMel(spec.label)
    if spec.kind == "teacher":
        from eval.representations.teacher_states import TeacherStates

        return TeacherStates(spec.target, spec.label, spec.numbers or None, device)
    if spec.kind == "hf":
        from eval.representations.hf_vectors import HuggingFaceVectors

        source, options = with_options(spec.text, spec.target)
        return HuggingFaceVectors(source, options, spec.label, next(iter(spec.numbers), None), device)
    return _of_codec(spec, device)


def representation_of(text: str, device: str = "cpu") -> Representation:
    """The representation that `[LABEL=]SPEC` names: `parse` and `load`, with what they raise."""
    return load(parse(text), device)


def names() -> tuple[str, ...]:
    """Specs that can be had here without weights of one's own, for lists and messages."""
    from soundcodec_llmcodec.codec import list_codec
    from soundcodec_llmcodec.teachers import TEACHERS

    codecs = list_codec()
    return (
        *codecs,
        *(f"{name}:{_CONTINUOUS}" for name in codecs),
        *(f"random:{name}" for name in codecs),
        "mel",
        *(f"teacher:{name}" for name in sorted(TEACHERS)),
    )


def forms() -> str:
    """The forms as one sentence."""
    return "a representation is one of: " + "; ".join(FORMS.values())


def _of_codec(spec: RepresentationSpec, device: str) -> Representation:
    from eval.representations.codec_vectors import ContinuousFeatures, QuantizedVectors, RandomVectors
    from soundcodec_llmcodec import checkpoints
    from soundcodec_llmcodec.llmcodec import LLMCodec

    try:
        codec = LLMCodec.from_pretrained(checkpoints.resolve(spec.target), device=device)
    except checkpoints.CheckpointError as error:
        raise LoadError(str(error)) from error
    if spec.kind == "continuous":
        return ContinuousFeatures(codec, spec.label)
    if spec.kind == "random":
        return RandomVectors(codec, spec.label)
    return QuantizedVectors(codec, spec.label, *spec.numbers)


def _codec(source: str) -> str:
    """A codec's name, folder, file or hub id, as it is. Raises UnknownSpecError for what is none of them."""
    from soundcodec_llmcodec.checkpoint_files import is_hub_id
    from soundcodec_llmcodec.codec import list_codec

    written_as_path = source.startswith((".", "~", "/"))
    if source in list_codec() or Path(source).expanduser().exists():
        return source
    if source and is_hub_id(source) and not written_as_path:
        return source
    if source and written_as_path:
        raise UnknownSpecError(f"there is no checkpoint at {source!r}; {forms()}")
    hint = did_you_mean(source, names(), ".")
    raise UnknownSpecError(f"no representation is called {source!r}{hint} There are {', '.join(names())}; {forms()}")


def _random(text: str, label: str, rest: str) -> RepresentationSpec:
    return RepresentationSpec(text, label, "random", _codec(rest))


def _teacher(text: str, label: str, rest: str) -> RepresentationSpec:
    from soundcodec_llmcodec.hub_teachers import is_hub_teacher
    from soundcodec_llmcodec.teachers import TEACHERS

    name, colon, listed = rest.partition(":")
    if name not in TEACHERS and not is_hub_teacher(name):
        known = sorted(TEACHERS)
        raise UnknownSpecError(
            f"no teacher is called {name!r}{did_you_mean(name, known, '.')} There are {known}, and hub ids and folders "
            "of models of transformers"
        )
    layers = listed.split(",") if colon else []
    if not all(layer.isdecimal() for layer in layers):
        raise UnknownSpecError(f"expected {FORMS['teacher']}, got {text!r}")
    return RepresentationSpec(text, label, "teacher", name, tuple(map(int, layers)))


def _hf(text: str, label: str, rest: str) -> RepresentationSpec:
    source, sign, levels = rest.rpartition("@")
    if not sign:
        source = rest
    if not source or (sign and (not levels.isdecimal() or int(levels) < 1)):
        raise UnknownSpecError(f"expected {FORMS['hf']}, got {text!r}")
    with_options(text, source)
    return RepresentationSpec(text, label, "hf", source, (int(levels),) if sign else ())


# Forms with a word before the colon.
_PREFIXES: dict[str, Callable[[str, str, str], RepresentationSpec]] = {
    "random": _random,
    "teacher": _teacher,
    "hf": _hf,
}
