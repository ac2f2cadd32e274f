"""Opus, by opusenc and opusdec of opus-tools, at a target bit rate."""

from __future__ import annotations

import functools
import hashlib
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from eval.harness import fingerprints
from eval.harness.clips import CorpusClip
from eval.harness.model_specs import ReconstructionError
from eval.reconstruction.codecs import programs
from eval.reconstruction.codecs.adapter_sources import of_adapter
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded
from eval.reconstruction.codecs.shaping import to_clip, to_rate

PROGRAMS = ("opusenc", "opusdec")
PACKAGE = "opus-tools"
RATE = 48_000  # Opus's own clock
KBPS = range(6, 257)  # what opusenc takes for one channel; it silently lowers more to 256
_HEADERS = 2  # OpusHead and OpusTags


class Opus:
    """Opus with opusenc's own defaults (variable bit rate, 20 ms frames, complexity 10) at a target of `kbps`.

    Clips are resampled to 48 kHz here, so that only Opus itself is measured. opusdec leaves out the encoder's delay
    (pre-skip) and cuts at the clip's end; its output is taken as floats, because the dither of 16-bit output is noise
    that the codec did not make. The bit rate is counted in the run: in silence it is far below the target.
    """

    def __init__(self, kbps: int, label: str | None = None) -> None:
        if kbps not in KBPS:
            raise ValueError(f"opusenc takes {KBPS[0]} to {KBPS[-1]} kbit/s for one channel, got {kbps}")
        programs.require(PROGRAMS, PACKAGE)
        # A fixed serial number makes equal audio equal bytes.
        self._options = ("--quiet", "--bitrate", str(kbps), "--serial", "1")
        version = _version()
        self.info = CodecInfo(
            name=label or f"opus_{kbps}k",
            kind="classical",
            checkpoint=version,
            identity=fingerprints.identity(
                f"{version} {' '.join(self._options)}", f"probe {self._probe()}", of_adapter(__file__)
            ),
            sample_rate=RATE,
            in_process=False,
        )

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        return programs.side_by_side(self._encode, clips)

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        decoded = programs.side_by_side(_decoded, [item.payload for item in coded])
        return [to_clip(samples, RATE, clip) for samples, clip in zip(decoded, clips, strict=True)]

    def _encode(self, clip: CorpusClip) -> Coded:
        stream = self._stream(to_rate(clip, RATE))
        return Coded(stream, n_bits=8 * sum(packet_sizes(stream)[_HEADERS:]))

    def _stream(self, samples: np.ndarray) -> bytes:
        """Samples float32 (S,) at 48 kHz as an Ogg Opus file's bytes."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.wav", Path(folder) / "out.opus"
            soundfile.write(source, samples, RATE, subtype="FLOAT")
            programs.run(["opusenc", *self._options, source, target])
            return target.read_bytes()

    def _probe(self) -> str:
        """Digest of what these programs make of one signal: another build shows itself here."""
        decoded = _decoded(self._stream(programs.probe_signal(RATE)))
        return hashlib.sha256(decoded.tobytes()).hexdigest()[:16]


def packet_sizes(stream: bytes) -> list[int]:
    """The bytes of each packet of an Ogg file with one logical stream (RFC 3533), headers first.

    Raises ReconstructionError for what is no whole Ogg file.
    """
    sizes: list[int] = []
    start, size = 0, 0
    while start < len(stream):
        header = stream[start : start + 27]
        if len(header) < 27 or header[:4] != b"OggS":
            raise ReconstructionError(f"expected an Ogg page at byte {start} of {len(stream)}")
        lacing = stream[start + 27 : start + 27 + header[26]]
        for value in lacing:
            size += value
            # A packet ends with the first lacing value below 255; pages end anywhere.
            if value < 255:
                sizes.append(size)
                size = 0
        start += 27 + header[26] + sum(lacing)
    if start != len(stream) or size or len(sizes) < _HEADERS:
        raise ReconstructionError(f"the Ogg file of {len(stream)} bytes ends within a page or a packet")
    return sizes


def _decoded(stream: bytes) -> np.ndarray:
    """An Ogg Opus file's bytes as samples float32 (S,) at 48 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.opus", Path(folder) / "out.wav"
        source.write_bytes(stream)
        programs.run(["opusdec", "--quiet", "--float", "--rate", str(RATE), source, target])
        samples, rate = soundfile.read(io.BytesIO(target.read_bytes()), dtype="float32")
    if rate != RATE:
        raise ReconstructionError(f"opusdec gave {rate} Hz where {RATE} were asked for")
    return samples


@functools.cache
def _version() -> str:
    """What opusenc calls itself: "opusenc opus-tools 0.2 (using libopus 1.3.1)"."""
    return programs.run(["opusenc", "--version"]).splitlines()[0].strip()
