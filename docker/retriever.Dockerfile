# Build it from the project's root: docker build --file docker/retriever.Dockerfile .
ARG PYTHON=3.11.14-slim-bookworm

# The trainer's image has the same stage, so it is built once.
FROM python:${PYTHON} AS compiled
# No pinned versions: Debian keeps only its newest packages, and the tag of the base image pins the
# Debian release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt docker/portable/portable-cc /portable/
# Pin the build dependencies, too.
ENV PIP_CONSTRAINT=/portable/constraints.txt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    CC="/portable/portable-cc gcc" CXX="/portable/portable-cc g++" LDFLAGS="-Wl,--strip-all"
# Compile NMSLIB: its published wheels have no SIMD code.
RUN pip wheel --no-deps --no-binary annoy,nmslib --wheel-dir /wheels annoy nmslib

FROM compiled AS installed
# Leave out faiss, a third of the image: exact search, Annoy and NMSLIB work without it.
ARG EXTRAS=retriever,faiss,otlp,store
COPY docker/portable/check_portable.py /portable/
COPY pyproject.toml README.md LICENSE /source/
COPY protos/gen /source/protos/gen
COPY lightfm_retriever /source/lightfm_retriever
COPY retriever /source/retriever
# Leave out SciPy (140 MB): NMSLIB only needs it for sparse vectors, which the retriever doesn't have.
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
# A new named volume gets the owner of the folder that it is mounted on.
RUN groupadd --gid 10001 service \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
       --shell /usr/sbin/nologin service \
    && install --directory --owner 10001 --group 10001 /volume
COPY --from=installed /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    RETRIEVER_VOLUME=/volume RETRIEVER_LISTEN=0.0.0.0:50051
USER 10001:10001
EXPOSE 50051 9464
# Checks that a worker answers, not that it serves: before the first publication, a restart wouldn't
# help.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python", "-m", "retriever", "health", "--liveness"]
ENTRYPOINT ["python", "-m", "retriever"]
CMD ["serve"]
