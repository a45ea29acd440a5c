# scoremix-pipeline as a batch job: docs/docker.md has the commands.
#
#   BASE         any image with Python 3.11 to 3.13 and its venv module
#   TORCH        the torch to install; the version in constraints.txt is the one tested
#   TORCH_INDEX  a further package index, such as PyTorch's own with its CPU builds; empty: the
#                default one, whose torch for Linux includes CUDA
#   EXTRAS       of setup.cfg
#   REVISION     the commit, for the label; deploy/build-image.sh fills it in
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=
ARG EXTRAS=demo,export
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/scoremix
WORKDIR /build

# Layers in order of increasing change: torch, the other packages, the project.
COPY constraints.txt ./
RUN /opt/scoremix/bin/pip install -c constraints.txt \
    ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} "${TORCH}"
COPY setup.cfg deploy/requirements.py ./
RUN python3 requirements.py setup.cfg "${EXTRAS}" > requirements.txt \
    && /opt/scoremix/bin/pip install -c constraints.txt -r requirements.txt

FROM build AS packages
RUN /opt/scoremix/bin/pip uninstall -y -q pip

# Installs under a separate root, so that the project's layer contains no other package.
FROM build AS project
COPY pyproject.toml README.md LICENSE ./
COPY manifests manifests
COPY models models
COPY stages stages
COPY pipeline pipeline
RUN /opt/scoremix/bin/pip install -c constraints.txt --no-deps --root /project .

FROM ${BASE}
COPY --from=packages /opt/scoremix /opt/scoremix
# Runs as any caller: without a home or a user name, on a read-only root file system.
ENV PATH=/opt/scoremix/bin:${PATH} \
    HOME=/tmp USER=scoremix XDG_CACHE_HOME=/tmp/.cache \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN mkdir /work && chmod 1777 /work
COPY --from=project /project/opt/scoremix /opt/scoremix
ARG REVISION=
LABEL org.opencontainers.image.title="scoremix-pipeline" \
      org.opencontainers.image.description="Offline ScoreMix augmentation into verified WebDataset shards" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["scoremix-pipeline"]
CMD ["--help"]
