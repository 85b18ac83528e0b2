# Build it from the project's root: docker build --file docker/retriever.Dockerfile .
ARG PYTHON=3.11.14-slim-bookworm

# This stage is the trainer's too, so it is built once.
FROM python:${PYTHON} AS compiled
# Debian keeps only its newest packages, and the base's tag says which Debian.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt docker/portable/portable-cc /portable/
# Build dependencies too are of the pinned versions.
ENV PIP_CONSTRAINT=/portable/constraints.txt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    CC="/portable/portable-cc gcc" CXX="/portable/portable-cc g++" LDFLAGS="-Wl,--strip-all"
# A wheel of NMSLIB that is for download has no SIMD code at all.
RUN pip wheel --no-deps --no-binary annoy,nmslib --wheel-dir /wheels annoy nmslib

FROM compiled AS installed
# faiss is a third of the image; exact search, Annoy and NMSLIB serve without it.
ARG EXTRAS=retriever,faiss,otlp,store
COPY docker/portable/check_portable.py /portable/
COPY pyproject.toml README.md LICENSE /source/
COPY protos/gen /source/protos/gen
COPY lightfm_retriever /source/lightfm_retriever
COPY retriever /source/retriever
# NMSLIB asks for SciPy, which it needs for sparse vectors only: we have none, and it is 140 MB.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-deps /wheels/*.whl \
    && pip --python /opt/venv/bin/python install "/source[${EXTRAS}]" \
    && rm /opt/venv/bin/lightfm-trainer \
    && /opt/venv/bin/python /portable/check_portable.py annoy.annoylib nmslib

FROM python:${PYTHON}
ARG PYTHON
LABEL org.opencontainers.image.title="lightfm-retriever: retriever" \
      org.opencontainers.image.description="Serves recommendations from a shared volume over gRPC" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="python:${PYTHON}"
# A new named volume takes the owner of the folder that it is mounted on.
RUN groupadd --gid 10001 service \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
       --shell /usr/sbin/nologin service \
    && install --directory --owner 10001 --group 10001 /volume
COPY --from=installed /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    RETRIEVER_VOLUME=/volume RETRIEVER_LISTEN=0.0.0.0:50051
USER 10001:10001
EXPOSE 50051 9464
# Whether a worker answers, not whether it serves: before the first publication a restart mends nothing.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python", "-m", "retriever", "health", "--liveness"]
ENTRYPOINT ["python", "-m", "retriever"]
CMD ["serve"]
