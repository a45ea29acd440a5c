#!/usr/bin/env bash
# Runs a tiny job in the image and checks its output:
#   deploy/smoke.sh [IMAGE]
# It runs as the caller, or as USER_ID=uid:gid; if that is root, as 10001:10001. Exits 0 only if the
# corpus verifies and belongs to that user, SIGTERM ends a job with 75, and the same command then
# completes it. Uses one thread, because on busy cores several threads wait for each other.
set -euo pipefail
image=${1:-scoremix}
user=${USER_ID:-$(id -u):$(id -g)}
case $user in 0 | 0:*) user=10001:10001 ;; esac
name=scoremix-smoke-$$
runs=$(mktemp -d)
container=
clean() {
    if [ -n "$container" ]; then buildah rm "$container" >/dev/null; fi
    rm -rf "$runs"
}
trap clean EXIT
chown "$user" "$runs"

engine=buildah
for found in podman docker; do
    if "$found" info >/dev/null 2>&1; then engine=$found; fi
done
if [ "$engine" = buildah ]; then
    container=$(buildah from --pull-never "$image")
    # buildah run has neither an entry point nor a read-only root.
    entry=$(buildah inspect --format '{{index .OCIv1.Config.Entrypoint 0}}' "$container")
    run() {
        buildah run --user "$user" --env OMP_NUM_THREADS=1 -v "$runs:/work" "$container" -- \
            "$entry" "$@"
    }
    descendants() {
        local child
        for child in $(pgrep -P "$1"); do echo "$child" && descendants "$child"; done
    }
    stop() { kill -TERM "$(descendants "$1" | tail -n 1)"; }
else
    run() {
        "$engine" run --rm --name "$name" --read-only --tmpfs /tmp --user "$user" \
            -e OMP_NUM_THREADS=1 -v "$runs:/work" "$image" "$@"
    }
    stop() { "$engine" kill --signal TERM "$name" >/dev/null; }
fi

quick=(--data digits --quiet --set ingest.resolution=8 --set ingest.fraction=0.05
    --set train.width=8 --set train.batch=16
    --set generate.ratio=2 --set generate.steps=2 --set generate.denoise_steps=2)
SECONDS=0
echo "== $image with $engine as $user: a tiny job"
run augment --out shards "${quick[@]}" --set train.steps=20
run verify shards
echo "== owner of its output"
ls -ln "$runs/shards"
others=$(find "$runs" ! -uid "${user%%:*}" -o ! -gid "${user##*:}")
[ -z "$others" ] || { echo "not owned by $user: $others" >&2; exit 1; }

echo "== SIGTERM"
long=(--out stopped "${quick[@]}" --set train.steps=400 --set train.checkpoint_every=20)
run augment "${long[@]}" &
job=$!
until [ -s "$runs/stopped.run/score-net/train.jsonl" ]; do # the first checkpoint's line
    kill -0 "$job" 2>/dev/null || { echo "the job ended before it was stopped" >&2; exit 1; }
    sleep 0.1
done
stop "$job"
code=0
wait "$job" || code=$?
echo "exit code $code"
[ "$code" = 75 ] || { echo "exit code 75 was expected" >&2; exit 1; }
echo "== the same command again"
run augment "${long[@]}"
run verify stopped
echo "== passed in $SECONDS s"
