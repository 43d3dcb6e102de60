#!/usr/bin/env bash
# usage: run.sh RANKS-PROGRAM [MPIEXEC]   the same bits for any number of ranks, and what wrong calls are told
set -euo pipefail
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_WAIT_POLICY=passive
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
program=$1
mpiexec=${2:-mpirun}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# mpi RANKS ARGUMENT…   What ranks say goes through a file: mpirun may lose what one writes that it ends.
mpi() {
  local ranks=$1 result=0
  shift
  : >"$scratch/stderr"
  timeout 120 "$mpiexec" -n "$ranks" sh -c 'exec "$@" 2>>"$0"' "$scratch/stderr" "$program" "$@" || result=$?
  cat "$scratch/stderr" >&2
  return "$result"
}
failed=0
# same MODEL OTHER RANKS…   MODEL on so many ranks gives what OTHER gives alone
same() {
  local model=$1 other=$2 ranks got alone
  shift 2
  alone=$("$program" "$other" 3)
  [[ $alone == loss* ]] || { echo "$other: no result alone"; exit 1; }
  for ranks; do
    got=$(mpi "$ranks" "$model" 3)
    [[ $got == "$alone" ]] || { echo "$model on $ranks ranks: $got; $other alone: $alone"; failed=1; }
  done
}
same images images 1 2 3 5 8 16
same later images 3 # without buckets that travel during the walk
same double double 2 5
same words words 2 3 8
same compiled straight 1 2 3
same half half 2 5
same short short 3 4
same together together 2 3 # batch norm over whole batches
same "shards of them" "whole batches" 3 # a loader that loads the shards of a rank
same sampled "whole sampled" 1 3 # by a sampler, without the last batch
same collated collated 3 # padded within a shard
same noisy noisy 3 # random numbers of samples and shards; replayed
mpi 2 bytes 1 || { echo "bytes: must be those of the formula"; failed=1; }
[[ $(mpi 3 seeds 2) == "$("$program" seeds 2)" ]] || { echo "the weights of rank 0 must go to all"; failed=1; }

# State shared out is the state that there was, a run goes on with any number of ranks, and a lost one is named.
whole=$("$program" whole 4)
[[ $(mpi 3 sharded 4) == "$whole" ]] || { echo "the state of an optimizer, shared out, gives other bits"; failed=1; }
# Who was told to end gets seconds to say so on a busy machine.
export OMPI_MCA_odls_base_sigkill_timeout=5 PRTE_MCA_odls_base_sigkill_timeout=5
if out=$(mpi 3 killed 4 "$scratch/run" 2>&1); then echo "killed: must fail"; failed=1; fi
# MPICH's mpiexec kills the others, who then say nothing, and names the lost one by its process.
said=("EXIT CODE: 9")
"$mpiexec" --version | grep -q HYDRA || said=("rank 2" "rank 0 of 3: told to end; the last checkpoint is $scratch/run")
for text in "${said[@]}"; do
  grep -qF -- "$text" <<<"$out" || { echo "killed: no '$text' in: $out"; failed=1; }
done
unset OMPI_MCA_odls_base_sigkill_timeout PRTE_MCA_odls_base_sigkill_timeout
out=$(mpi 2 sharded 4 "$scratch/run" 2>&1)
[[ $out == *"$whole"*"from step 2"* ]] || { echo "a run that goes on ends with $out, not $whole"; failed=1; }
mpi 3 noisy 2 "$scratch/loader" >/dev/null # in the middle of an epoch
mpi 4 memory 1 "$scratch/memory" || { echo "memory: must fall with the number of ranks"; failed=1; }
[[ $(mpi 2 noisy 4 "$scratch/loader") == "$("$program" noisy 4)" ]] || { echo "a loader must go on with any number of ranks"; failed=1; }

# refused RANKS MODEL TEXT [CHECKPOINT]
refused() {
  local out
  if out=$(mpi "$1" "$2" 1 "${@:4}" 2>&1); then echo "$2: must fail"; failed=1; fi
  grep -qF -- "$3" <<<"$out" || { echo "$2: no '$3' in: $out"; failed=1; }
}
refused 2 data "World: the first batch must be the same on all ranks, got others on ranks 0 and 1"
refused 2 others "World: the data and options of a DataLoader must be the same on all ranks, got others on ranks 0 and 1"
refused 2 ahead "World: the first batch must be the same on all ranks, got others on ranks 0 and 1"
refused 2 fewer "World: the data and options of a DataLoader must be the same on all ranks"
refused 1 few "DataLoader: each batch must have a row for each shard, got one of 6 for 16 shards; set drop_last"
refused 2 version "World: the version of xgrad must be the same on all ranks, got others on ranks 0 and 1"
refused 2 threads "World: MPI must work in a program with threads (MPI_THREAD_FUNNELED), got level 0"
refused 2 options "World: the options of DataParallel must be the same on all ranks"
refused 3 shards "World: the options of DataParallel must be the same on all ranks, got others on ranks 0 and 2"
refused 2 rates "World: the weights must be the same on all ranks, got others on ranks 0 and 1"
refused 1 twelve "DataParallel: shards must be a power of two, got 12"
refused 2 small "DataParallel::backward: a batch must have a row for each shard, got 15 rows for 16 shards"
refused 2 "other shards" "$scratch/run: DataParallel: shards must be 16 as in the saved run, got 8" "$scratch/run"
refused 17 images "DataParallel: there must be a shard for each rank, got 16 for 17 ranks"
refused 2 apart "all shards must come to the same batch norms"
refused 2 rows "World: the rows of a batch and which parameters require gradients must be the same on all ranks"
refused 3 frozen "World: the rows of a batch and which parameters require gradients must be the same on all ranks"
refused 3 throws "this loss has had enough"
refused 3 throws "rank 0 of 3: every rank must compute its part of the batch, but rank 2 threw"
refused 3 throws "after that the ranks went on together"
refused 3 fails "this rank has had enough"
exit $failed
