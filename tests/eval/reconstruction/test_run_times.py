"""Time columns are a codec's own, whatever stands before it: told by a clock that moves by known costs alone."""

from __future__ import annotations

import dataclasses

import pytest

from eval.reconstruction import reconstruction_run, reconstruction_table
from eval.reconstruction.scoring import Scorer

FIRST_OF_ALL = 100.0  # what the first call in a process pays for all: libraries, threads
FIRST = 50.0  # what each codec's first call pays
COLD = 1.0  # what the first call after scoring pays: caches hold the metrics' things
ENCODE = {"a": 2.0, "b": 0.25, "c": 0.5}  # seconds of work per second of audio
DECODE = {"a": 1.0, "b": 4.0, "c": 0.125}


class Clock:
    """Stands in for the module `time`: work moves it, nothing else does."""

    def __init__(self) -> None:
        self.now = 0.0
        self.called: set[str] = set()
        self.is_cold = True

    def perf_counter(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds

    def call(self, name: str) -> None:
        """What a codec's call costs beyond its work."""
        self.now += 0.0 if self.called else FIRST_OF_ALL
        self.now += 0.0 if name in self.called else FIRST
        self.now += COLD if self.is_cold else 0.0
        self.called.add(name)
        self.is_cold = False


class ScorerBetween(Scorer):
    """Scoring takes the machine's caches."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(0)
        self.clock = clock

    def map(self, jobs):
        self.clock.is_cold = True
        return super().map(jobs)


@pytest.fixture
def timed(fake_codec, monkeypatch):
    """timed(names, in_process): a clock, and codecs of these names that work by it."""

    def make(names, in_process):
        clock = Clock()
        monkeypatch.setattr("eval.reconstruction.coding_batches.time", clock)
        monkeypatch.setattr("eval.reconstruction.peak_memory.peak_mib", lambda device, work: 1.0 if work() else None)
        codecs = []
        for name in names:
            codec = fake_codec(name, lambda x: x)
            codec.info = dataclasses.replace(codec.info, in_process=in_process)
            encode, decode = codec.encode, codec.decode

            def encoding(clips, name=name, encode=encode):
                clock.call(name)
                clock.work(ENCODE[name] * sum(clip.seconds for clip in clips))
                return encode(clips)

            def decoding(coded, clips, name=name, decode=decode):
                clock.work(DECODE[name] * sum(clip.seconds for clip in clips))
                return decode(coded, clips)

            codec.encode, codec.decode = encoding, decoding
            codecs.append(codec)
        return clock, codecs

    return make


@pytest.mark.parametrize("in_process", [True, False])  # only of the former is memory measured, in a pass before
def test_time_columns_do_not_depend_on_the_order_of_the_models(mini, plan, timed, in_process):
    rows = []
    for names in ("abc", "cba", "bac"):
        clock, codecs = timed(names, in_process)
        # A batch in which the cold call is the warm-up's or the memory pass's, and two for each codec to begin.
        asked = plan(codecs, mini, splits=("Speech",), limit=7, batch_size=1)
        with ScorerBetween(clock) as scorer:
            outcome = reconstruction_run.run(asked, scorer)
        (table,) = reconstruction_table.tables(outcome, None)
        rows.append({row["model"]: (row["enc"], row["dec"]) for row in table.frame.to_dict("records")})
        for model in outcome.models:
            name, speech = model.info.name, model.splits["Speech"]
            cold = 2 * COLD / sum(clip.seconds for clip in speech.clips)
            assert speech.encode_rtf == pytest.approx(ENCODE[name] + cold)
            assert speech.decode_rtf == pytest.approx(DECODE[name])
    assert rows[0] == rows[1] == rows[2]
    assert rows[0]["b"][1] == "4.000"
