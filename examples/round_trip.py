"""Audio to tokens and back.

python examples/round_trip.py [SOUND_FILE] [OUTPUT_FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import soundfile

from soundcodec_llmcodec import Tokens, load_codec

DEMO = Path(__file__).resolve().parents[1] / "soundcodec_llmcodec" / "assets" / "demo"


def main(sound_file: Path = DEMO / "speech-english.flac", folder: Path = Path("round_trip_output")) -> None:
    """Encode and decode one file and a batch, and write the results into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    codec = load_codec("llmcodec").codec
    print(codec)

    # One clip: any rate from 8 to 192 kHz, mono or stereo. The output has the rate and the length of the input.
    tokens = codec.encode(sound_file)
    audio = codec.decode(tokens)
    soundfile.write(folder / "decoded.wav", audio, tokens.sampling_rate)
    print(tokens)
    print("first ids:", tokens.unit[:8].tolist())

    # Ids alone are enough, as a language model writes them: as numbers or as text. Each is 20 ms of 16 kHz audio.
    ids = tokens.unit[50:100].tolist()
    from_ids = codec.decode(ids)
    from_text = codec.decode("".join(f"<CODEC_{i}>" for i in ids))
    assert (from_ids == from_text).all()
    soundfile.write(folder / "one_second.wav", from_ids, codec.sample_rate)

    # Many clips at once, of any lengths and rates. Each has the tokens that it has alone.
    batch = codec.encode_batch([sound_file, DEMO / "speech-japanese.flac"])
    assert batch[0] == tokens

    # Token files: 716 bit/s.
    tokens.save(folder / "tokens.llmc")
    assert Tokens.load(folder / "tokens.llmc") == tokens
    print(f"{(folder / 'tokens.llmc').stat().st_size} bytes for {tokens.duration_s:.2f} s in {folder / 'tokens.llmc'}")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
