#!/usr/bin/env bash
# A run on a Slurm cluster: one job prepares (ingest, train, plan), an array makes the shards, one
# job makes the shards still missing, publishes and evaluates.
#
#   deploy/slurm.sh stages.yaml 8 --partition gpu --gres gpu:1 --time 4:00:00
#
# 8 workers; further arguments are passed to sbatch. The folder of stages.yaml must be on a file
# system with locks that every node sees. A job that is preempted, or two minutes before its time
# limit, gets a signal, keeps its finished work, exits with 75 and is requeued.
set -euo pipefail
if [ -z "${SLURM_JOB_ID:-}" ]; then
    if [ $# -lt 2 ]; then
        sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
        exit 2
    fi
    stages=$(realpath "$1") workers=$2
    shift 2
    submit() {
        sbatch --parsable --requeue --open-mode append --signal B:USR1@120 \
            --kill-on-invalid-dep yes "$@"
    }
    script=$(realpath "$0")
    prepare=$(submit --job-name scoremix-prepare "$@" "$script" "$stages" --until plan)
    array=$(submit --job-name scoremix-generate --array "0-$((workers - 1))" \
        --dependency "afterok:$prepare" "$@" "$script" "$stages" --worker auto)
    finish=$(submit --job-name scoremix-finish --dependency "afterany:$array" "$@" \
        "$script" "$stages")
    echo "prepare $prepare, generate $array (an array of $workers), finish $finish"
    exit
fi

# In a job: the command runs as a child of this shell, which forwards the signal.
stages=$1
shift
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
scoremix-pipeline run "$stages" "$@" &
command=$!
asked=0
trap 'asked=1; kill -USR1 $command 2>/dev/null || true' USR1 TERM
code=0
wait $command || code=$?
while [ $asked -eq 1 ] && [ $code -gt 128 ]; do # the trap ended `wait`, not the command
    asked=0 code=0
    wait $command || code=$?
done
if [ $code -eq 75 ]; then
    name=$SLURM_JOB_ID
    if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then name=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
    echo "stopped in time; requeueing the job" >&2
    scontrol requeue "$name"
fi
exit $code
