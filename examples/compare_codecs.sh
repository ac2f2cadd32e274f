#!/usr/bin/env bash
# Compare two codecs and an upper bound on the same clips. Extra: eval.
#
#   examples/compare_codecs.sh [OUTPUT_FOLDER] [MORE_OPTIONS...]
#   examples/compare_codecs.sh runs/compared --dataset voidful/codec-superb-tiny     # the real data set
#
# Without --dataset the clips are those of the bundled mini set: synthetic, and not for reporting.
set -euo pipefail
out=${1:-runs/compared}
shift || true
cd "$(dirname "$0")/.."

# resample_16k is the audio itself at the codecs' rate: no codec of 16 kHz can be better.
python eval/superb_tiny.py --models llmcodec llmcodec_base resample_16k --metrics mel stoi \
  --output "$out" --resume "$@"

echo "open $out/report.html; table.md has the table, results.json everything, clips.jsonl the scores of each clip"
