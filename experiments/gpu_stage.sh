#!/usr/bin/env bash
# One stage of a training run on a machine that is lent for minutes: the state of the last stage is put together, the run
# goes on for so many minutes, and its newest state is left as pieces. The next stage takes these, and so on.
#
#   experiments/gpu_stage.sh STATE_IN STATE_OUT MINUTES train arguments...
#   experiments/gpu_stage.sh none     out/1     9 --config compact --data speech:train --device cuda
#   experiments/gpu_stage.sh out/1    out/2     9 --config compact --data speech:train --device cuda
#
# PYTHON names the interpreter, RUN the run's folder there, MIB the largest piece.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 4 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
state_in=$1 state_out=$2 minutes=$3
shift 3
python=${PYTHON:-python}
run=${RUN:-$(mktemp -d)/run}
if [ "$state_in" != none ]; then
  rm -rf "$run/checkpoints"
  "$python" "$here/pieces.py" unpack "$state_in" "$run/checkpoints"
fi
# A run that stops with an error has saved its state all the same: that leaves the machine too.
code=0
PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}" \
  "$python" -m soundcodec_llmcodec train "$@" --out "$run" --max-minutes "$minutes" --quiet || code=$?
newest=$(ls -d "$run"/checkpoints/step-* | sort | tail -1)
staged=$(mktemp -d)
cp -r "$newest" "$staged/"
"$python" "$here/pieces.py" pack "$staged" "$state_out" --mib "${MIB:-16}"
cp "$run"/log.jsonl "$state_out/"
rm -rf "$staged"
exit "$code"
