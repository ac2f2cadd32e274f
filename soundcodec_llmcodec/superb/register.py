"""Our codecs in the registry of an installed Codec-SUPERB.

`SoundCodec.codec.load_codec(name)` imports the module `SoundCodec.codec.<name>`, and has no hook. So `register` puts a
module of that name, whose `Codec` is ours, where Python's import looks first. This serves every caller, also one that
took `load_codec` before; it hides upstream's own `llmcodec`, which needs the package auv and a download, and leaves
every other codec alone. `list_codec` lists files, so it is wrapped to name ours too. Nothing on the disk is changed,
and `unregister` puts everything back.

A result under the name `llmcodec` would stand in the place of upstream's own in its leaderboard. So the default codec
is registered as `soundcodec_llmcodec` too, the name for whatever is to stand beside upstream's results.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.superb.adapter import codec_class

PACKAGE = "SoundCodec.codec"
_STATE = "_llmcodec_registration"
OWN_PREFIX = "soundcodec_"  # what makes a name of ours that upstream has a name of our own
OWN_NAME = f"{OWN_PREFIX}{checkpoints.DEFAULT_NAME}"
NAMES = (*checkpoints.NAMES, OWN_NAME)


class SoundCodecMissingError(ImportError):
    """Codec-SUPERB's package SoundCodec cannot be imported."""


@dataclass(frozen=True)
class Registration:
    """What `register` did: `added` names are new to the registry, `replaced` ones were upstream's and now are ours."""

    package: str
    location: str
    added: tuple[str, ...]
    replaced: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All names that load our codecs, sorted."""
        return tuple(sorted(self.added + self.replaced))


@dataclass(frozen=True)
class _State:
    """What `unregister` needs: the registration, what stood in sys.modules and in the package, and `list_codec`."""

    registration: Registration
    modules: dict[str, ModuleType]
    attributes: dict[str, Any]
    list_codec: Callable[..., list[str]]


def register() -> Registration:
    """Make the installed SoundCodec load and list our codecs; a second call changes nothing and says the same.

    Raises SoundCodecMissingError where SoundCodec cannot be imported.
    """
    package = _package()
    state = getattr(package, _STATE, None)
    if state is not None:
        return state.registration
    upstream = set(package.list_codec())
    names = NAMES
    registration = Registration(
        package=PACKAGE,
        location=str(package.__file__),
        added=tuple(name for name in names if name not in upstream),
        replaced=tuple(name for name in names if name in upstream),
    )
    full_names = {name: f"{PACKAGE}.{name}" for name in names}
    state = _State(
        registration=registration,
        modules={full: sys.modules[full] for full in full_names.values() if full in sys.modules},
        attributes={name: vars(package)[name] for name in names if name in vars(package)},
        list_codec=package.list_codec,
    )
    for name, full in full_names.items():
        module = _module(name, full)
        sys.modules[full] = module
        setattr(package, name, module)
    vars(package)["list_codec"] = _listing(state.list_codec, names)
    setattr(package, _STATE, state)
    return registration


def unregister() -> Registration | None:
    """Undo `register`; returns what is undone, or None where nothing was registered."""
    package = sys.modules.get(PACKAGE)
    state = getattr(package, _STATE, None)
    if package is None or state is None:
        return None
    for name in state.registration.names:
        full = f"{PACKAGE}.{name}"
        sys.modules.pop(full, None)
        if full in state.modules:
            sys.modules[full] = state.modules[full]
        vars(package).pop(name, None)
    vars(package).update(state.attributes, list_codec=state.list_codec)
    delattr(package, _STATE)
    return state.registration


def _package() -> ModuleType:
    try:
        return importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        if error.name not in ("SoundCodec", PACKAGE):
            raise
        raise SoundCodecMissingError(
            "Codec-SUPERB's package SoundCodec cannot be imported. Install it (pip install -e . in its checkout), or "
            "run from its checkout. Without it, soundcodec_llmcodec.codec.load_codec gives the same codecs"
        ) from error


def _module(name: str, full_name: str) -> ModuleType:
    module = ModuleType(full_name, f"The codec {name} of soundcodec_llmcodec, registered in {PACKAGE}.")
    module.__spec__ = ModuleSpec(full_name, loader=None, origin=__name__)
    module.__package__ = PACKAGE
    vars(module)["Codec"] = codec_class(checkpoints.DEFAULT_NAME if name == OWN_NAME else name)
    return module


def _listing(original: Callable[..., list[str]], names: Sequence[str]) -> Callable[..., list[str]]:
    @functools.wraps(original)
    def list_codec(ignore_list: Sequence[str] | None = None) -> list[str]:
        upstream = original() if ignore_list is None else original(ignore_list)
        ours = [name for name in names if f"{name}.py" not in (ignore_list or ())]
        return sorted({*upstream, *ours})

    return list_codec
