"""Six everyday sounds by synthesis: (duration_s, rate, rng) -> float32 (S,)."""

from __future__ import annotations

import numpy as np

from eval.mini.signals import add, band, decay, finish, plateau, room, seconds


def rain(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Rain on a window: a wash of filtered noise under hundreds of short drop impacts."""
    t = seconds(duration_s, rate)
    gusts = 1 + 0.3 * np.sin(2 * np.pi * 0.4 * t + 1.0)
    track = 0.06 * gusts * band(rng.standard_normal(len(t)), rate, 500.0, 0.4 * rate)
    for start_s in rng.uniform(0, duration_s, round(140 * duration_s)):
        drop_t = seconds(0.02, rate)
        frequency = rng.uniform(1500, 6000)
        drop = decay(drop_t, 0.0005, rng.uniform(0.001, 0.004)) * np.sin(2 * np.pi * frequency * drop_t)
        add(track, drop, start_s, rate, 0.5 * rng.uniform(0.1, 1.0) ** 3)
    return finish(track, rate, 0.5)


def footsteps(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Footsteps on a wooden floor, then three knocks on a door, in a small room."""
    track = np.zeros(round(duration_s * rate))
    for i in range(5):
        t = seconds(0.2, rate)
        thud = decay(t, 0.002, 0.02) * np.sin(2 * np.pi * rng.uniform(75, 95) * t)
        scrape = decay(t, 0.01, 0.03) * band(rng.standard_normal(len(t)), rate, 800.0, 4000.0)
        start_s = 0.15 + i * 0.48 + rng.uniform(-0.02, 0.02)
        add(track, thud + 0.15 * scrape, start_s, rate)
        add(track, 0.5 * thud + 0.1 * scrape, start_s + 0.09, rate)
    for i in range(3):
        t = seconds(0.25, rate)
        knock = sum(
            gain * decay(t, 0.0007, half_life_s) * np.sin(2 * np.pi * frequency * t)
            for frequency, gain, half_life_s in ((190, 1.0, 0.03), (410, 0.6, 0.02), (1150, 0.35, 0.008))
        )
        add(track, np.asarray(knock), duration_s - 1.2 + 0.24 * i, rate, 1.2)
    floor = 0.002 * band(rng.standard_normal(len(track)), rate, None, 2000.0)
    return finish(room(track, rate, rng, 0.6, 0.3) + floor, rate, 0.85)


def engine(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A four-stroke engine that is revved twice: firing pulses, their harmonics, and intake noise."""
    t = seconds(duration_s, rate)
    revolutions = 14 + 26 * np.exp(-(((t - 0.3 * duration_s) / 0.45) ** 2))
    revolutions += 34 * np.exp(-(((t - 0.72 * duration_s) / 0.5) ** 2))
    phase = np.cumsum(revolutions) / rate
    pulses = np.exp(-8 * ((2 * phase) % 1.0)) * (1 + 0.25 * np.sin(2 * np.pi * phase / 2))
    noise = band(rng.standard_normal(len(t)), rate, 200.0, 2500.0) * (0.15 + 0.85 * np.exp(-6 * ((2 * phase) % 1.0)))
    load = 0.5 + revolutions / revolutions.max()
    muffled = band(pulses - pulses.mean(), rate, 40.0, 1800.0) + 0.35 * noise
    return finish(np.tanh(2.5 * muffled * load), rate, 0.7)


def birds(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Two birds, one trilling and one with falling whistles, over a faint breeze."""
    n_samples = round(duration_s * rate)
    track = 0.004 * band(rng.standard_normal(n_samples), rate, 200.0, 1500.0)
    for start_s in (0.2, 1.3, 2.5):
        for i in range(9):
            t = seconds(0.06, rate)
            frequency = 4300 + 900 * np.sin(np.pi * t / 0.06) - 40 * i
            chirp = plateau(t, 0.012, 0.02) * np.sin(2 * np.pi * np.cumsum(frequency) / rate)
            add(track, chirp, start_s + 0.075 * i, rate, 0.5 + 0.05 * i)
    for start_s in (0.95, 2.1, 3.3):
        t = seconds(0.45, rate)
        frequency = 3200 - 1500 * (t / 0.45) ** 1.5 + 60 * np.sin(2 * np.pi * 28 * t)
        whistle = np.sin(2 * np.pi * np.cumsum(frequency) / rate)
        add(track, plateau(t, 0.04, 0.12) * whistle, start_s, rate, 0.7)
    return finish(room(track, rate, rng, 0.9, 0.2), rate, 0.6)


def dripping(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Water dripping in a cave: bubbles whose pitch rises, with a long reverberation."""
    track = np.zeros(round(duration_s * rate))
    start_s = 0.1
    while start_s < duration_s - 0.3:
        t = seconds(0.12, rate)
        frequency = rng.uniform(700, 1900) * (1 + rng.uniform(4, 9) * t)
        bubble = decay(t, 0.001, rng.uniform(0.012, 0.03)) * np.sin(2 * np.pi * np.cumsum(frequency) / rate)
        add(track, bubble, start_s, rate, rng.uniform(0.3, 1.0))
        start_s += rng.choice([0.08, 0.21, 0.37]) * rng.uniform(0.85, 1.15)
    floor = 0.003 * band(rng.standard_normal(len(track)), rate, 100.0, 3000.0)
    return finish(room(track, rate, rng, 1.2, 0.35) + floor, rate, 0.75)


def applause_and_alarm(duration_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Applause that swells and dies down, and a two-tone alarm far off towards its end."""
    n_samples = round(duration_s * rate)
    track = np.zeros(n_samples)
    for start_s in rng.triangular(0.0, 0.4 * duration_s, duration_s, round(110 * duration_s)):
        t = seconds(0.03, rate)
        centre = rng.uniform(900, 2600)
        clap = band(rng.standard_normal(len(t)), rate, centre * 0.7, centre * 1.4) * decay(t, 0.001, 0.005)
        add(track, clap, start_s, rate, rng.uniform(0.2, 1.0))
    t = np.arange(n_samples) / rate
    tone_hz = np.where((t * 2.5).astype(int) % 2, 960.0, 770.0)
    alarm = np.tanh(1.5 * np.sin(2 * np.pi * np.cumsum(tone_hz) / rate))
    alarm *= np.clip((t - 0.55 * duration_s) / 0.3, 0, 1)
    return finish(room(track + 0.25 * alarm, rate, rng, 0.7, 0.3), rate, 0.8)
