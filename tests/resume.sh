#!/usr/bin/env bash
# usage: resume.sh PROGRAM ARGS…   a training program with --save and --resume
# Interrupts a run three times, each time goes on, and compares the model with that of a run left alone.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
trap '' INT  # inherited: the program ignores the signal until it asks for it

"$@" --save whole >/dev/null
resume=()
for i in 1 2 3; do
  "$@" --save parts "${resume[@]}" >log &
  while kill -INT $! 2>/dev/null; do sleep 0.02; done
  wait $! && status=0 || status=$?
  [[ $status == 130 ]] || { cat log; echo "run $i: exit code $status after an interrupt, not 130"; exit 1; }
  grep -q -- '--resume parts.checkpoint' log || { cat log; echo "run $i: does not say how to go on"; exit 1; }
  resume=(--resume parts.checkpoint)
done
"$@" --save parts "${resume[@]}" >/dev/null
cmp whole parts
echo "the same bits"
