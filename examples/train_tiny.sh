#!/usr/bin/env bash
# Train a tiny codec on bundled clips in seconds, stop, resume, export, and use it. Extra: train.
#
#   examples/train_tiny.sh [RUN_FOLDER] [STEPS]
#
# For a real codec, replace `tiny` by `compact` and the data by your own (docs/train.md).
set -euo pipefail
run=${1:-runs/tiny}
steps=${2:-20}
cd "$(dirname "$0")/.."
clip=soundcodec_llmcodec/assets/demo/speech-english.flac
train() {
  python -m soundcodec_llmcodec train --config tiny --data eval/mini:Speech --validation eval/mini:Music \
    --out "$run" --quiet --set checkpoint_every=5 "$@"
}

# A limit of (nearly) no time stops the run after its first step, with a checkpoint, as Ctrl-C would.
train --set steps="$steps" --max-minutes 0.0001
# The same command resumes, and gives what an uninterrupted run would have given.
train --set steps="$steps"

tail -n 1 "$run/log.jsonl"
python -m soundcodec_llmcodec train export "$run" --kinds codec bundle
python -m soundcodec_llmcodec encode "$clip" -o "$run/speech.llmc" --checkpoint "$run/export" --quiet
python -m soundcodec_llmcodec decode "$run/speech.llmc" -o "$run/speech.wav" --checkpoint "$run/export" --quiet
python -m soundcodec_llmcodec info "$run/speech.llmc"
