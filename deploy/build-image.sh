#!/usr/bin/env bash
# Builds the container image with the first of docker, podman and buildah that works.
#   deploy/build-image.sh [IMAGE] [further arguments of build, such as --build-arg EXTRAS=demo]
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:-scoremix}
shift || true
revision=$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || true)
for engine in docker podman buildah; do
    "$engine" info >/dev/null 2>&1 || continue # the docker command may exist without its engine
    echo "building $image with $engine" >&2
    exec "$engine" build --tag "$image" --build-arg REVISION="$revision" "$@" .
done
echo "None of docker, podman and buildah works here: install one, or start its engine." >&2
exit 1
