"""Six pieces of music by synthesis: (duration_s, rate, rng) -> float32 (S,)."""

from __future__ import annotations

import numpy as np
from scipy import signal

from eval.mini.signals import Signal, add, band, decay, finish, hertz, plateau, room, seconds


def pluck(note: float, duration_s: float, rate: int, rng: np.random.Generator, brightness: float = 0.5) -> Signal:
    """A plucked string by Karplus-Strong: a noise burst in a delay line with a two-point average."""
    period = rate / hertz(note) - 0.5
    whole = int(period)
    # A first-order all-pass makes up the fraction of a sample, so that high notes are in tune.
    fraction = period - whole
    coefficient = (1 - fraction) / (1 + fraction)
    n_samples = round(duration_s * rate)
    burst = np.zeros(n_samples)
    burst[:whole] = signal.lfilter([brightness], [1.0, brightness - 1.0], rng.uniform(-1, 1, whole))
    # y[n] = x[n] + g * 0.5 * (1 + z^-1) * allpass(z) * z^-whole * y[n]
    gain = 0.5 * 0.5 ** (1.0 / (hertz(note) * 0.9))
    numerator = gain * np.convolve([1.0, 1.0], [coefficient, 1.0])
    denominator = np.zeros(whole + 3)
    denominator[:2] = 1.0, coefficient
    denominator[whole : whole + 3] -= numerator
    tone = signal.lfilter([1.0, coefficient], denominator, burst)
    return tone * plateau(seconds(duration_s, rate), 0.001, 0.03)


def fm_tone(note: float, duration_s: float, rate: int, ratio: float, index: float, half_life_s: float) -> Signal:
    """Two-operator FM: a sine whose phase is modulated by another at `ratio` times its frequency."""
    t = seconds(duration_s, rate)
    modulation = index * decay(t, 0.002, half_life_s / 2) * np.sin(2 * np.pi * ratio * hertz(note) * t)
    return decay(t, 0.003, half_life_s) * np.sin(2 * np.pi * hertz(note) * t + modulation)


def kick(rate: int) -> Signal:
    t = seconds(0.35, rate)
    phase = 2 * np.pi * (48 * t + 90 * 0.035 * (1 - np.exp(-t / 0.035)))
    return decay(t, 0.001, 0.06) * np.sin(phase)


def snare(rate: int, rng: np.random.Generator) -> Signal:
    t = seconds(0.25, rate)
    rattle = band(rng.standard_normal(len(t)), rate, 1500.0, min(9000.0, 0.45 * rate))
    return 0.5 * decay(t, 0.001, 0.03) * np.sin(2 * np.pi * 185 * t) + 0.5 * decay(t, 0.001, 0.045) * rattle


def hat(rate: int, rng: np.random.Generator, half_life_s: float) -> Signal:
    t = seconds(0.25, rate)
    return decay(t, 0.001, half_life_s) * band(rng.standard_normal(len(t)), rate, min(6500.0, 0.3 * rate), None, 4)


def guitar(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A plucked string, arpeggios over Am, F, C and G."""
    track = np.zeros(round(duration_s * rate))
    chords = ((45, 52, 57, 60, 64), (41, 48, 53, 57, 60), (48, 52, 55, 60, 64), (43, 50, 55, 59, 67))
    step_s = duration_s / 24
    for beat in range(24):
        chord = chords[beat // 6]
        note = chord[(0, 2, 3, 4, 3, 2)[beat % 6]]
        start_s = beat * step_s + rng.uniform(0, 0.008)
        add(track, pluck(note, 1.6, rate, rng, 0.6), start_s, rate, rng.uniform(0.7, 1.0))
    return finish(room(track, rate, rng, 0.5, 0.15), rate, 0.8)


def electric_piano(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """FM electric-piano chords (Dm9, G13, Cmaj9) with a bell melody on top."""
    track = np.zeros(round(duration_s * rate))
    chords = ((50, 57, 60, 64, 65), (43, 53, 57, 59, 64), (48, 55, 59, 62, 64), (45, 55, 60, 62, 64))
    for i, chord in enumerate(chords):
        for note in chord:
            tone = fm_tone(note, 1.6, rate, 1.0, 1.4, 0.5) + 0.15 * fm_tone(note, 1.6, rate, 14.0, 0.6, 0.08)
            add(track, tone, i * duration_s / 4 + rng.uniform(0, 0.015), rate, 0.25)
    for i, note in enumerate((76, 79, 84, 83, 79, 76, 74, 72)):
        add(track, fm_tone(note, 1.2, rate, 3.5, 2.0, 0.25), (i + 0.5) * duration_s / 8, rate, 0.2)
    return finish(track, rate, 0.7)


def drum_loop(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A swung drum loop of kick, snare and hats."""
    track = np.zeros(round(duration_s * rate))
    step_s = duration_s / 32
    for step in range(32):
        start_s = (step + (0.18 if step % 2 else 0.0)) * step_s
        if step % 16 in (0, 3, 8, 10):
            add(track, kick(rate), start_s, rate, 1.0)
        if step % 8 == 4:
            add(track, snare(rate, rng), start_s, rate, 0.8)
        add(track, hat(rate, rng, 0.07 if step % 8 == 6 else 0.015), start_s, rate, 0.3 if step % 2 else 0.45)
    return finish(room(track, rate, rng, 0.3, 0.1), rate, 0.85)


def pad(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A slow pad: detuned sawtooth chords through a moving low-pass."""
    track = np.zeros(round(duration_s * rate))
    part_s = duration_s / 2
    for i, chord in enumerate(((45, 57, 60, 64, 71), (41, 53, 57, 60, 67))):
        t = seconds(part_s + 0.4, rate)
        voices = np.zeros(len(t))
        for note in chord:
            for cents in (-7.0, 0.0, 6.0):
                # Partials up to 5 kHz are summed one by one, so that nothing aliases.
                frequency, start = hertz(note + cents / 100), rng.uniform(0, 1)
                for k in range(1, int(5000 / frequency) + 1):
                    cutoff = 1100 + 800 * np.sin(2 * np.pi * 0.3 * t + i)
                    gain = 1 / np.sqrt(1 + (k * frequency / cutoff) ** 4)
                    voices += gain * np.sin(2 * np.pi * k * (frequency * t + start)) / k
        add(track, voices * plateau(t, 0.5, 0.5), i * (part_s - 0.2), rate)
    return finish(track, rate, 0.6, 0.05)


def violin_melody(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A bowed melody with glides and a vibrato that sets in late, coloured by two body resonances."""
    t = seconds(duration_s, rate)
    notes = np.array((67, 71, 74, 72, 71, 69, 67, 66, 67, 67), dtype=float)
    position = np.minimum((t / duration_s * len(notes)).astype(int), len(notes) - 1)
    glide = round(0.05 * rate)
    pitch = np.convolve(np.pad(notes[position], glide, "edge"), np.ones(glide) / glide, "same")[glide:-glide]
    within_s = t % (duration_s / len(notes))
    pitch = pitch + 0.35 * np.clip((within_s - 0.1) / 0.15, 0, 1) * np.sin(2 * np.pi * 5.6 * t)
    phase = 2 * np.pi * np.cumsum(hertz(pitch)) / rate
    tone = np.zeros(len(t))
    for k in range(1, 17):
        tone += np.sin(k * phase + rng.uniform(0, 2 * np.pi)) / k**1.1
    bow = band(rng.standard_normal(len(t)), rate, 2000.0, 6000.0) * 0.02
    body = tone + 1.2 * band(tone, rate, 400.0, 560.0) + 0.9 * band(tone, rate, 2300.0, 3400.0)
    stroke = 0.55 + 0.45 * np.minimum(within_s / 0.08, 1.0) * (1 - 0.35 * within_s / within_s.max())
    return finish(room((body + bow) * stroke, rate, rng, 0.8, 0.25), rate, 0.7)


def bass_and_drums(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A synthetic bass line over four-to-the-floor drums, with short chord stabs."""
    track = np.zeros(round(duration_s * rate))
    step_s = duration_s / 32
    line = (33, 33, 45, 33, 36, 33, 40, 43)
    for step in range(32):
        start_s = step * step_s
        if step % 4 == 0:
            add(track, kick(rate), start_s, rate, 0.9)
        if step % 8 == 4:
            add(track, snare(rate, rng), start_s, rate, 0.5)
        if step % 4 == 2:
            add(track, hat(rate, rng, 0.04), start_s, rate, 0.35)
        t = seconds(step_s * 1.1, rate)
        square = signal.square(2 * np.pi * hertz(line[step % 8]) * t)
        bass = band(square, rate, None, 500.0 + 700.0 * (step % 3), 2) * plateau(t, 0.004, 0.03)
        add(track, bass, start_s, rate, 0.35)
        if step % 8 in (3, 6):
            for note in (57, 60, 64, 67):
                stab = band(signal.sawtooth(2 * np.pi * hertz(note) * t), rate, None, 3500.0)
                add(track, stab * plateau(t, 0.003, 0.05), start_s, rate, 0.12)
    return finish(track, rate, 0.85)
