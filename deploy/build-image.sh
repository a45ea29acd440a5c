#!/usr/bin/env bash
# Builds the container image with docker, podman or buildah, whichever is there.
#   deploy/build-image.sh [IMAGE] [further arguments of build, such as --build-arg EXTRAS=demo]
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:-scoremix}
shift || true
for engine in docker podman buildah; do
    "$engine" info >/dev/null 2>&1 || continue # docker is there at times without its engine
    echo "building $image with $engine" >&2
    exec "$engine" build --tag "$image" "$@" .
done
echo "None of docker, podman and buildah works here: install one, or start its engine." >&2
exit 1
