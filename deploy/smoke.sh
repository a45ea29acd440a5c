#!/usr/bin/env bash
# A tiny job in the image, as the caller or as USER_ID, and proof of what it leaves:
#   deploy/smoke.sh [IMAGE]
# Exits 0 only if the corpus verifies, belongs to that user, and SIGTERM ends a job with 75.
set -euo pipefail
image=${1:-scoremix}
user=${USER_ID:-$(id -u):$(id -g)}
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
chown "$user" "$runs"

engine=
for found in docker podman; do
    if [ -z "$engine" ] && "$found" info >/dev/null 2>&1; then engine=$found; fi
done
if [ -n "$engine" ]; then
    run() {
        "$engine" run --rm --name scoremix-smoke --read-only --tmpfs /tmp --user "$user" \
            -v "$runs:/work" "$image" "$@"
    }
    stop() { "$engine" kill --signal TERM scoremix-smoke; }
else
    # buildah run knows no entry point: the image's is named.
    container=$(buildah from --pull-never "$image")
    trap 'buildah rm "$container" >/dev/null; rm -rf "$runs"' EXIT
    run() { buildah run --user "$user" -v "$runs:/work" "$container" -- scoremix-pipeline "$@"; }
    stop() { pkill -TERM -f '^[^ ]*python[^ ]* [^ ]*scoremix-pipeline augment .*--out stopped'; }
fi

quick=(--set ingest.fraction=0.05 --set train.width=8 --set train.steps=20 --set train.batch=16
    --set generate.ratio=2 --set generate.steps=2 --set generate.denoise_steps=2)
echo "== a tiny job as $user"
run augment --data digits --out shards --set ingest.resolution=8 "${quick[@]}"
echo "== verify"
run verify shards
echo "== owner"
ls -ln "$runs/shards" | head -5
others=$(find "$runs" ! -uid "${user%%:*}" | head -3)
[ -z "$others" ] || { echo "not owned by $user: $others" >&2; exit 1; }

echo "== SIGTERM"
long=(--set train.steps=100000 --set train.checkpoint_every=1000)
code=0
run augment --data digits --out stopped --set ingest.resolution=8 \
    "${quick[@]}" "${long[@]}" --quiet &
job=$!
until [ -e "$runs/stopped.run/corpus/corpus.json" ]; do
    kill -0 "$job" 2>/dev/null || { echo "the job ended before it could be stopped" >&2; exit 1; }
    sleep 0.5
done
sleep 5
stop
wait "$job" || code=$?
echo "exit code $code"
[ "$code" = 75 ]
