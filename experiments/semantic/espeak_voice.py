"""Speech by eSpeak NG, whose library and voices the package espeakng-loader holds.

Letters: S samples.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from soundcodec_llmcodec.extras import missing

# Of eSpeak NG's speak_lib.h.
_SYNCHRONOUS, _CHARACTERS, _UTF8 = 2, 1, 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_IPA = 2
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class EspeakVoice:
    """A voice by eSpeak NG's name ("en-us", or with a variant "en-us+f3") and how it speaks: words a minute, and pitch
    and its range from 0 to 100. It can be understood, but recognisers do not hear it well: `spoken_corpus.py --check`
    says how well."""

    name: str = "en-us"
    words_per_minute: int = 160
    pitch: int = 50
    pitch_range: int = 50

    @property
    def about(self) -> str:
        """What spoke, and its licence, for the corpus's card."""
        return (
            f"eSpeak NG {self.name} ({self.words_per_minute} words a minute; the program is GPL-3.0-or-later, which "
            "does not bind what it says)"
        )

    def speak(self, text: str) -> tuple[np.ndarray, int]:
        """(samples float32 (S,), rate in Hz) of a text.

        Raises ValueError for a voice that there is none of, RuntimeError where eSpeak NG fails, and ImportError without
        espeakng-loader.
        """
        library, rate = _library()
        # A name with a variant that does not exist is taken by its language alone, without a word.
        if library.espeak_SetVoiceByName(self.name.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {self.name!r}; names are such as en-us, en-gb, en-us+f3")
        for kind, value in ((_RATE, self.words_per_minute), (_PITCH, self.pitch), (_RANGE, self.pitch_range)):
            library.espeak_SetParameter(kind, value, 0)
        pieces: list[np.ndarray] = []

        @_CALLBACK
        def receive(samples: Any, count: int, events: Any) -> int:
            if samples and count > 0:
                pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
            return 0

        library.espeak_SetSynthCallback(receive)
        spoken = text.encode() + b"\0"
        status = library.espeak_Synth(spoken, len(spoken), 0, _CHARACTERS, 0, _UTF8, None, None)
        if status != 0 or library.espeak_Synchronize() != 0:
            raise RuntimeError(f"eSpeak NG could not speak {text!r} (status {status})")
        if not pieces:
            return np.zeros(0, np.float32), rate
        return np.concatenate(pieces).astype(np.float32) / 32_768, rate


def phonemes(text: str, language: str) -> str:
    """What eSpeak NG would say for a text, in the International Phonetic Alphabet, clause by clause.

    Raises ValueError for a language that there is none of, ImportError without espeakng-loader.
    """
    library, _ = _library()
    if library.espeak_SetVoiceByName(language.encode()) != 0:
        raise ValueError(f"eSpeak NG has no language {language!r}")
    rest = ctypes.c_char_p(text.encode())
    clauses = []
    while rest.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA).decode().strip())
    return " ".join(clause for clause in clauses if clause)


@functools.cache
def _library() -> tuple[Any, int]:
    """The library, started once in a process, and the rate in Hz that it speaks at."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise ImportError(missing("speech by eSpeak NG", "espeakng-loader")) from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    if rate <= 0:
        raise RuntimeError(f"eSpeak NG could not be started with the voices in {espeakng_loader.get_data_path()}")
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_SetSynthCallback.argtypes = [_CALLBACK]
    library.espeak_Synth.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
        *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
    ]
    return library, rate
