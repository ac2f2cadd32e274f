"""How well the bundled language model predicts a recording's tokens, and how it continues it. Extra: lm.

python examples/score_tokens.py [SOUND_FILE] [OUTPUT.wav]
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import soundfile

from soundcodec_llmcodec import load_codec
from soundcodec_llmcodec.lm.continuation import continue_audio
from soundcodec_llmcodec.lm.loading import load_token_lm

DEMO = Path(__file__).resolve().parents[1] / "soundcodec_llmcodec" / "assets" / "demo"


def main(sound_file: Path = DEMO / "speech-english.flac", output: Path = Path("continued.wav")) -> None:
    """Score the recording, forwards and backwards, and add one second to its first two."""
    codec, lm = load_codec("llmcodec").codec, load_token_lm("bundled")
    tokens = codec.encode(sound_file)
    ids = tokens.unit.numpy()

    forwards, backwards = lm.score([ids, np.ascontiguousarray(ids[::-1])])
    print(f"uniform guess: {math.log2(tokens.codebook_size):.2f} bits per token, {tokens.bitrate_bps:.0f} bit/s")
    for name, scores in (("as recorded", forwards), ("backwards", backwards)):
        bits = scores.audio_nll.mean() / math.log(2)
        print(f"{name}: {bits:.2f} bits per token, {bits * tokens.frame_rate:.0f} bit/s, perplexity {2**bits:.0f}")
    hardest = forwards.audio_nll.argmax()
    print(f"least expected: id {ids[hardest]} at {hardest / tokens.frame_rate:.2f} s")

    samples, rate = soundfile.read(sound_file, dtype="float32", frames=2 * soundfile.info(sound_file).samplerate)
    continued = continue_audio(codec, lm, samples, rate, seconds=1.0)
    soundfile.write(output, continued.audio, continued.rate)
    print(f"wrote {output}: {continued.prompt_frames} tokens of prompt and {len(continued.tokens)} new ones")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
