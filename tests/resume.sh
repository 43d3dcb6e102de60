#!/usr/bin/env bash
# usage: resume.sh PROGRAM ARGS…   a training program with --save and --resume; ARGS with --model mlp --batch-size 256
# Interrupts a run four times, each time goes on, and compares the model with that of a run left alone. Then
# asks for what must be refused, before the first step and by the name of the option.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
trap '' INT TERM  # inherited: the program ignores the signals until it asks for them

"$@" --save whole >/dev/null
resume=()
for signal in INT TERM INT TERM; do
  "$@" --save parts "${resume[@]}" >log &
  while kill -"$signal" $! 2>/dev/null; do sleep 0.02; done
  wait $! && status=0 || status=$?
  [[ $status == $((128 + $(kill -l "$signal"))) ]] ||
    { cat log; echo "exit code $status after SIG$signal"; exit 1; }
  grep -q -- '--resume parts.checkpoint' log || { cat log; echo "SIG$signal: does not say how to go on"; exit 1; }
  resume=(--resume parts.checkpoint)
done
cp parts.checkpoint interrupted
"$@" --save parts "${resume[@]}" >log
cmp whole parts
grep -q 'taken' log || { cat log; echo "does not say how long it takes"; exit 1; }

# refused TEXT PROGRAM ARGS…: fails with one line that holds the text, without a step.
refused() {
  local text=$1
  shift
  "$@" >log 2>errors && { cat log; echo "not refused: $*"; exit 1; }
  cat log errors | grep -q -- "$text" || { cat log errors; echo "does not say '$text': $*"; exit 1; }
  ! grep -q validated log || { cat log; echo "trained before it refused: $*"; exit 1; }
}
refused '--seed must be 1 as in the saved run, got 7' "$@" --save parts --resume interrupted --seed 7
refused '--lr must be 0.002 as in the saved run, got 0.5' "$@" --save parts --resume interrupted --lr 0.5
refused '--model must be mlp as in the saved run, got cnn' "${@/mlp/cnn}" --save parts --resume interrupted
refused '--batch-size must be 256 as in the saved run, got 128' "${@/256/128}" --save parts --resume interrupted
refused '--lr' "$@" --save parts --lr -1
refused 'lr' "$@" --save parts --lr nan
refused '--seed' "$@" --save parts --seed -1
refused '--threads' "$@" --save parts --threads 0
refused 'No such file or directory' "$@" --save absent/model
mkdir directory
refused 'must be a regular file, got a directory' "$@" --save directory
cmp whole parts
echo "the same bits"
