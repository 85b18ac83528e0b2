# Build it from the project's root: docker build --file docker/trainer.Dockerfile .
ARG PYTHON=3.11.14-slim-bookworm

# The retriever's image has the same stage, so it is built once.
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
ARG EXTRAS=trainer,faiss,nmslib,otlp,sql,store,tune
RUN pip wheel --no-deps --no-binary rectools-lightfm --wheel-dir /wheels rectools-lightfm
COPY docker/portable/check_portable.py /portable/
COPY pyproject.toml README.md LICENSE /source/
COPY protos/gen /source/protos/gen
COPY lightfm_retriever /source/lightfm_retriever
COPY trainer /source/trainer
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install /wheels/*.whl "/source[${EXTRAS}]" \
    && rm /opt/venv/bin/lightfm-retriever \
    && /opt/venv/bin/python /portable/check_portable.py \
       annoy.annoylib nmslib lightfm._lightfm_fast_openmp

# MovieLens 100K, in its own image (--target movielens). Its licence forbids passing it on, so don't
# push this image to a registry that others read.
FROM installed AS fetched
RUN /opt/venv/bin/python -m ensurepip \
    && /opt/venv/bin/python -m trainer fetch-dataset movielens-100k --data-dir /dataset

FROM python:${PYTHON} AS movielens
RUN install --directory --owner 10001 --group 10001 /data
COPY --from=fetched /dataset /dataset
USER 10001:10001
CMD ["cp", "--recursive", "/dataset/.", "/data"]

FROM python:${PYTHON}
ARG PYTHON
LABEL org.opencontainers.image.title="lightfm-retriever: trainer" \
      org.opencontainers.image.description="Trains LightFM and publishes embeddings and indexes" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="python:${PYTHON}"
# LightFM needs OpenMP's library. A new named volume gets the owner of the folder that it is mounted on.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 service \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
       --shell /usr/sbin/nologin service \
    && install --directory --owner 10001 --group 10001 /volume /state /data
COPY --from=installed /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    TRAINER_VOLUME=/volume TRAINER_STATE=/state TRAINER_DATA_DIR=/data TRAINER_LISTEN=0.0.0.0:50052
USER 10001:10001
EXPOSE 50052 9464
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python", "-m", "trainer", "health"]
ENTRYPOINT ["python", "-m", "trainer"]
CMD ["serve"]
