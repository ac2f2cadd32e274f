"""What a codec can be called: `[LABEL=]SPEC`, parsed without loading anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from eval.harness import hf_models, include
from eval.harness.checked_codec import included_codec
from eval.harness.include import Included
from eval.harness.model_specs import UnknownSpecError, check_labels, labelled, place_name, with_options
from eval.reconstruction.codecs import codec2, hf, opus, programs, superb
from soundcodec_llmcodec.nearest import nearest

# The forms that a SPEC can have, by kind: for help texts and errors.
FORMS = {
    "bound": "identity, resample_<N>k (N kHz and back): upper bounds",
    "llmcodec": "a codec of soundcodec_llmcodec by name, or a checkpoint's folder or file (./NAME for one beside you); "
    "?optimize=bf16 or bf16-decoder, or ?levels=N for its first N codebook levels, behind it",
    "classical": f"opus_<K>k ({opus.KBPS[0]} to {opus.KBPS[-1]} kbit/s), codec2_<MODE> ({', '.join(codec2.MODES)})",
    "superb": "superb:NAME, a codec of an installed Codec-SUPERB; plain NAME where no other codec has it",
    "hf": "hf:REPO_OR_FOLDER[?bandwidth=6&num_quantizers=8&revision=...]: a codec model of transformers",
    "recon": "recon:FOLDER[?kbps=1.04]: audio that was made before, a file for each clip id, and its bit rate",
    "included": "FILE.py:NAME, a class or function in your file (docs/extend.md); its NAME with --include FILE.py",
}
_PREFIXES = ("superb", "hf", "recon")
_RESAMPLE = re.compile(r"resample_(\d+)k")
_OPUS = re.compile(r"opus_(\d+)k")
_CODEC2 = re.compile(r"codec2_(\w+)")
_MODES = {mode.lower(): mode for mode in codec2.MODES}
_RATES_KHZ = range(1, 193)


@dataclass(frozen=True)
class CodecSpec:
    """A codec to load: its label, its kind (a key of FORMS), and what of that kind.

    `target` is the registry's name, "identity" or "resample", "opus" or "codec2", the repository or the folder; `value`
    is the rate in Hz, the kbit/s or the mode; `path` a checkpoint of one's own; `options` what stands behind
    the question mark; `included` is a codec of one's own.
    """

    text: str
    label: str
    kind: str
    target: str
    value: int | str | None = None
    path: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    included: Included | None = None

    @property
    def takes_checkpoint(self) -> bool:
        """Whether other weights can be put in the place of the codec's own."""
        return self.kind == "llmcodec" and self.path is None


@dataclass(frozen=True)
class KnownModel:
    """A name that `parse` takes, and what is missing here before it can be loaded, if that is known."""

    name: str
    missing: str | None = None

    def __str__(self) -> str:
        return self.name if self.missing is None else f"{self.name} ({self.missing})"


def parse(text: str) -> CodecSpec:
    """The codec that `[LABEL=]SPEC` means. Nothing is loaded but files of one's own; names and folders are looked at.

    LABEL holds no '=', ':', '/' or '?'; without it the codec is called as SPEC says. A bare name is a name before it is
    a folder. Raises UnknownSpecError, with the nearest name and the kinds that there are, for what means no codec.
    """
    given, spec = labelled(text)
    if given == "" or not spec:
        raise UnknownSpecError(f"expected LABEL=SPEC or SPEC, got {text!r}; {_kinds()}")
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in _PREFIXES:
        if not rest:
            raise UnknownSpecError(f"{spec!r} names nothing; expected {FORMS[prefix]}")
        parsed: CodecSpec | None = _PARSERS[prefix](text, rest)
    else:
        parsed = _included(text, spec) or _builtin(text, spec) or _ours(text, spec) or _upstream(text, spec)
    if parsed is None:
        raise UnknownSpecError(_unknown(spec))
    return parsed if given is None else replace(parsed, label=given)


def check(texts: Sequence[str], *, checkpoint: object = None) -> tuple[CodecSpec, ...]:
    """The codecs that the texts mean, told apart by label. Raises UnknownSpecError as `parse` does, and ValueError for
    two of one label, or for a checkpoint where not exactly one of the codecs takes one."""
    specs = tuple(parse(text) for text in texts)
    check_labels([spec.label for spec in specs], "codec", "LABEL=SPEC")
    taking = [spec.text for spec in specs if spec.takes_checkpoint]
    if checkpoint is not None and len(taking) != 1:
        raise ValueError(f"a checkpoint goes with exactly one named codec of soundcodec_llmcodec, got {taking}")
    return specs


def known_names() -> dict[str, tuple[KnownModel, ...]]:
    """Names by kind, with what is missing for each: all of ours and of an installed Codec-SUPERB, examples of the rest.

    The kinds are those of FORMS; `recon` has no names.
    """
    from soundcodec_llmcodec.codec import list_codec

    no_opus = programs.missing(opus.PROGRAMS, opus.PACKAGE)
    no_codec2 = programs.missing(codec2.PROGRAMS, codec2.PACKAGE)
    no_hf = hf_models.missing()
    classical = [KnownModel(f"opus_{kbps}k", no_opus) for kbps in (6, 8, 12, 16, 24, 32, 64, 128)]
    classical += [KnownModel(f"codec2_{mode}", no_codec2) for mode in _MODES]
    return {
        "bound": tuple(KnownModel(name) for name in ("identity", "resample_8k", "resample_16k", "resample_24k")),
        "llmcodec": tuple(KnownModel(name) for name in list_codec()),
        "classical": tuple(classical),
        "superb": tuple(KnownModel(f"superb:{name}") for name in superb.names()),
        "hf": tuple(KnownModel(f"hf:{repo}", no_hf) for repo in hf.EXAMPLES),
        "recon": (),
        "included": tuple(KnownModel(name, f"in {entry.place}") for name, entry in include.included("codec").items()),
    }


def _included(text: str, spec: str) -> CodecSpec | None:
    entry = included_codec(spec, is_taken=_builtin(spec, spec) is not None)
    return None if entry is None else CodecSpec(text, entry.name, "included", entry.name, included=entry)


def _builtin(text: str, name: str) -> CodecSpec | None:
    """Upper bounds and classical codecs."""
    if name == "identity":
        return CodecSpec(text, name, "bound", "identity")
    if match := _RESAMPLE.fullmatch(name):
        khz = _within(match[1], _RATES_KHZ, name, "kHz")
        return CodecSpec(text, name, "bound", "resample", khz * 1000)
    if match := _OPUS.fullmatch(name):
        kbps = _within(match[1], opus.KBPS, name, "kbit/s for one channel, as opusenc does")
        return CodecSpec(text, name, "classical", "opus", kbps)
    match = _CODEC2.fullmatch(name.lower())
    if match and match[1] in _MODES:
        return CodecSpec(text, name, "classical", "codec2", _MODES[match[1]])
    return None


def _within(number: str, allowed: range, name: str, unit: str) -> int:
    if int(number) not in allowed:
        raise UnknownSpecError(f"{name!r} is out of range: it takes {allowed[0]} to {allowed[-1]} {unit}")
    return int(number)


def _ours(text: str, spec: str) -> CodecSpec | None:
    """A codec of soundcodec_llmcodec's registry, or a checkpoint in a folder or file."""
    from soundcodec_llmcodec.checkpoint_files import CONFIG_FILE, WEIGHTS_ENDINGS, WEIGHTS_FILE
    from soundcodec_llmcodec.codec import list_codec

    if "?" in spec and not Path(spec).exists():
        source, options = with_options(text, spec)
        plain = _ours(text, source)
        return None if plain is None else replace(plain, label=spec, options=_own_options(options))
    if spec in list_codec():
        return CodecSpec(text, spec, "llmcodec", spec)
    path = Path(spec).expanduser()
    written_as_path = "/" in spec or spec.startswith((".", "~")) or spec.endswith(WEIGHTS_ENDINGS)
    bare_folder = path.is_dir() and spec not in superb.names()
    if not (written_as_path or bare_folder):
        return None
    if not path.exists():
        raise UnknownSpecError(
            f"there is no checkpoint at {spec!r}: expected a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, or with a "
            f"published codec's .pt, or a {' or '.join(WEIGHTS_ENDINGS)} file. A hub repository of transformers is "
            f"hf:{spec}; one of "
            "soundcodec_llmcodec is a --checkpoint for llmcodec"
        )
    return CodecSpec(text, place_name(path, WEIGHTS_FILE), "llmcodec", "llmcodec", path=path.resolve())


def _own_options(options: Mapping[str, str]) -> Mapping[str, str]:
    """The options of a codec of ours. Raises UnknownSpecError for others."""
    from soundcodec_llmcodec.nn.precision import check_optimize

    if not options or not set(options) <= {"optimize", "levels"}:
        raise UnknownSpecError(
            f"a codec of soundcodec_llmcodec has the options optimize and levels, got {sorted(options)}"
        )
    try:
        check_optimize(options.get("optimize"))
    except ValueError as error:
        raise UnknownSpecError(str(error)) from error
    levels = options.get("levels", "1")
    if not levels.isdecimal() or int(levels) < 1:
        raise UnknownSpecError(f"levels is a whole number of codebook levels, such as levels=1, got {levels!r}")
    return options


def _upstream(text: str, name: str) -> CodecSpec | None:
    return CodecSpec(text, name, "superb", name) if name in superb.names() else None


def _superb(text: str, name: str) -> CodecSpec:
    names = superb.names()
    # Without SoundCodec nobody can tell which names it has: loading says what to install.
    if names and name not in names:
        raise UnknownSpecError(superb.unknown(name, names))
    return CodecSpec(text, f"superb:{name}", "superb", name)


def _hf(text: str, rest: str) -> CodecSpec:
    source, options = with_options(text, rest)
    parts = [Path(source).name, *(f"{key}_{value}" for key, value in options.items())]
    return CodecSpec(text, "_".join(parts), "hf", source, options=options)


def _recon(text: str, rest: str) -> CodecSpec:
    source, options = with_options(text, rest)
    unknown = sorted(set(options) - {"kbps"})
    if unknown:
        raise UnknownSpecError(f"{text!r}: unknown options {unknown}; there is kbps")
    kbps = options.get("kbps")
    if kbps is not None:
        _positive(kbps, text)
    return CodecSpec(text, Path(source).expanduser().resolve().name, "recon", source, options=options)


def _positive(number: str, text: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UnknownSpecError(f"{text!r}: expected a bit rate in kbit/s above zero, got {number!r}")
    return value


_PARSERS = {"superb": _superb, "hf": _hf, "recon": _recon}


def _unknown(spec: str) -> str:
    names = [model.name for models in known_names().values() for model in models]
    bare = [name.removeprefix("superb:") for name in names if name.startswith("superb:")]
    near = nearest(spec, [*names, *bare])
    hint = f"; did you mean {near!r}?" if near else "."
    absent = "" if bare else " Codec-SUPERB's SoundCodec is not installed here, so none of its names is known."
    return f"no codec is called {spec!r}{hint}{absent} {_kinds()}"


def _kinds() -> str:
    return "A codec is one of: " + "; ".join(FORMS.values())
