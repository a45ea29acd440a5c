#!/usr/bin/env bash
# One machine, several GPUs, a container each:
#   deploy/workers.sh IMAGE N stages.yaml
# Prepares (ingest, train, plan) on the first GPU, then makes shards on N GPUs, then evaluates.
# Mounts the folder of stages.yaml as /work. Restarts a worker that is stopped (75) or dies, three
# times at most. ENGINE names docker or podman; GPUS=none runs without GPUs.
set -euo pipefail
if [ $# -ne 3 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
image=$1 count=$2 stages=$(realpath "$3")
folder=$(dirname "$stages") name=$(basename "$stages")
engine=${ENGINE:-docker}
one() { # GPU, then the command's arguments
    local gpu=(--gpus "device=$1")
    if [ "${GPUS:-all}" = none ]; then gpu=(); fi
    shift
    "$engine" run --rm ${gpu[@]+"${gpu[@]}"} --read-only --tmpfs /tmp --stop-timeout 120 \
        --user "$(id -u):$(id -g)" -v "$folder:/work" "$image" run "$name" "$@"
}
worker() {
    local tries code
    for tries in 1 2 3; do
        code=0
        one "$1" --worker "$1/$count" || code=$?
        case $code in
        0) return 0 ;;
        2 | 3 | 4) return $code ;; # a retry cannot help
        esac
        echo "worker $1 ended with $code (try $tries of 3)" >&2
    done
    return "$code"
}
one 0 --until plan
for ((index = 0; index < count; index++)); do worker "$index" & done
wait
one 0
