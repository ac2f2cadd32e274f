"""Codec 2, by c2enc and c2dec of codec2: a speech codec at 8 kHz, 700 to 3,200 bit/s."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.harness import fingerprints
from eval.harness.clips import CorpusClip
from eval.harness.model_specs import ReconstructionError
from eval.harness.padding import padded_to_multiple
from eval.reconstruction.codecs import programs
from eval.reconstruction.codecs.adapter_sources import of_adapter
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded
from eval.reconstruction.codecs.shaping import to_clip, to_rate

PROGRAMS = ("c2enc", "c2dec")
PACKAGE = "codec2"
RATE = 8_000


@dataclass(frozen=True)
class Mode:
    """Samples a frame at 8 kHz, bits a frame, and by how many samples the decoder's output lags behind the input."""

    hop: int
    bits: int
    delay: int

    @property
    def bitrate_bps(self) -> float:
        """Bits a second."""
        return self.bits * RATE / self.hop

    @property
    def stored_bytes(self) -> int:
        """Bytes a frame in c2enc's file, which fills each frame up to whole bytes."""
        return -(-self.bits // 8)


# The delay is the codec's look-ahead and overlap: 20 ms, and one more 10 ms step where 700C interpolates from the frame
# before. It was measured too: speech envelopes correlate best, and STOI is highest, at these lags in every mode.
MODES = {
    "3200": Mode(160, 64, 160),
    "2400": Mode(160, 48, 160),
    "1600": Mode(320, 64, 160),
    "1400": Mode(320, 56, 160),
    "1300": Mode(320, 52, 160),
    "1200": Mode(320, 48, 160),
    "700C": Mode(320, 28, 240),
}


class Codec2:
    """Codec 2 in one of MODES, on 16-bit samples at 8 kHz.

    c2enc drops what does not fill a frame and c2dec lags behind: zeros are added so that every sample of the clip is
    coded, and the lag is cut off, so that the reconstruction lies on the clip. Bits are the codec's own, without those
    that fill up bytes in the file; those of the added zeros count, as they would in use.
    """

    def __init__(self, mode: str, label: str | None = None) -> None:
        if mode not in MODES:
            raise ValueError(f"expected a mode of Codec 2 out of {list(MODES)}, got {mode!r}")
        programs.require(PROGRAMS, PACKAGE)
        self._name, self._mode = mode, MODES[mode]
        probe = hashlib.sha256(self._decoded(self._stream(programs.probe_signal(RATE))).tobytes()).hexdigest()[:16]
        self.info = CodecInfo(
            name=label or f"codec2_{mode.lower()}",
            kind="classical",
            checkpoint=f"c2enc {mode}",
            # The programs tell no version: what they make of one signal stands for it.
            identity=fingerprints.identity(f"codec2 {mode}", f"probe {probe}", of_adapter(__file__)),
            sample_rate=RATE,
            bitrate_bps=self._mode.bitrate_bps,
            in_process=False,
        )

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        return programs.side_by_side(self._encode, clips)

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        decoded = programs.side_by_side(self._decoded, [item.payload for item in coded])
        rows = zip(decoded, clips, strict=True)
        return [to_clip(samples[self._mode.delay :], RATE, clip) for samples, clip in rows]

    def _encode(self, clip: CorpusClip) -> Coded:
        stream = self._stream(to_rate(clip, RATE))
        return Coded(stream, n_bits=len(stream) // self._mode.stored_bytes * self._mode.bits)

    def _stream(self, samples: np.ndarray) -> bytes:
        """Samples float32 (S,) at 8 kHz as c2enc's bytes, with frames enough for the decoder's delay."""
        padded = padded_to_multiple(samples, self._mode.hop, at_least=self._mode.delay)
        pcm = np.clip(np.round(padded * 32_768), -32_768, 32_767).astype("<i2")
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.raw", Path(folder) / "out.bin"
            source.write_bytes(pcm.tobytes())
            programs.run(["c2enc", self._name, source, target])
            stream = target.read_bytes()
        expected = len(padded) // self._mode.hop * self._mode.stored_bytes
        if len(stream) != expected:
            raise ReconstructionError(f"c2enc {self._name} wrote {len(stream)} bytes, expected {expected}")
        return stream

    def _decoded(self, stream: bytes) -> np.ndarray:
        """c2enc's bytes as samples float32 (S,) at 8 kHz, lagging by the mode's delay."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.bin", Path(folder) / "out.raw"
            source.write_bytes(stream)
            programs.run(["c2dec", self._name, source, target])
            samples = np.frombuffer(target.read_bytes(), dtype="<i2").astype(np.float32) / 32_768
        expected = len(stream) // self._mode.stored_bytes * self._mode.hop
        if len(samples) != expected:
            raise ReconstructionError(f"c2dec {self._name} gave {len(samples)} samples, expected {expected}")
        return samples
