# One image for serving and for batch; the command says which. Built from the hashed locks, like `make install`.
# docker-compose.yml shows how it is run: read-only, without rights, its state in a volume.

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
ENV VIRTUAL_ENV=/opt/ragstone PYTHONDONTWRITEBYTECODE=1
COPY requirements/uv.txt requirements/build.txt requirements/base.txt requirements/
RUN python -m venv "$VIRTUAL_ENV" \
    && "$VIRTUAL_ENV/bin/pip" install --no-cache-dir --quiet --require-hashes --requirement requirements/uv.txt \
    && "$VIRTUAL_ENV/bin/uv" pip sync --no-cache --quiet --require-hashes --build-constraints requirements/build.txt \
        requirements/uv.txt requirements/build.txt requirements/base.txt
COPY pyproject.toml README.md ./
COPY conf conf
COPY ragstone ragstone
COPY feature_repo feature_repo
COPY spark_jobs spark_jobs
COPY serving serving
COPY orchestration orchestration
# The jars and the model are fetched here, so that a running container fetches nothing.
RUN "$VIRTUAL_ENV/bin/uv" pip install --no-cache --quiet --no-deps --no-build-isolation --editable . \
    && "$VIRTUAL_ENV/bin/python" -m ragstone.runtime.jars core kafka \
    && "$VIRTUAL_ENV/bin/python" -m ragstone.embedding.export \
    && "$VIRTUAL_ENV/bin/python" -m spark_jobs.class_archive \
    && "$VIRTUAL_ENV/bin/python" -m compileall -q ragstone feature_repo spark_jobs serving orchestration


FROM python:3.11-slim-bookworm
# The wheel that brings Java has no build for aarch64. The distribution keeps one version of its Java at a time.
ARG TARGETARCH
# hadolint ignore=DL3008
RUN if [ "$TARGETARCH" = arm64 ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
        && rm -rf /var/lib/apt/lists/*; \
    fi
RUN useradd --uid 10001 --create-home ragstone \
    && install --directory --owner ragstone --group ragstone /var/lib/ragstone
COPY --from=build /opt/ragstone /opt/ragstone
COPY --from=build /app /app
ENV PATH=/opt/ragstone/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HF_HUB_OFFLINE=1 \
    RAGSTONE_HOME=/var/lib/ragstone \
    RAGSTONE_LOG_FORMAT=json \
    RAGSTONE_SERVING_HOST=0.0.0.0
USER 10001
WORKDIR /app
VOLUME /var/lib/ragstone
EXPOSE 8080
ENTRYPOINT ["ragstone"]
CMD ["serve"]
