# Two stages: the first makes a virtual environment, the second holds it and nothing that could build one.
FROM docker.io/library/python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv --without-pip /opt/acd
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY acd acd
COPY routing routing
COPY ivr ivr
RUN pip --python /opt/acd/bin/python install --only-binary=:all: --no-binary=acd -c constraints.txt .

FROM docker.io/library/python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="acd" \
      org.opencontainers.image.description="An automatic call distributor for SIP" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN rm -rf /usr/local/lib/python3.11/site-packages/pip* /usr/local/lib/python3.11/site-packages/setuptools* \
           /usr/local/lib/python3.11/site-packages/wheel* /usr/local/lib/python3.11/ensurepip /usr/local/bin/pip* \
 && useradd --system --uid 10001 --user-group --home-dir /var/lib/acd --shell /usr/sbin/nologin acd \
 && install -d -o acd -g acd -m 0700 /var/lib/acd
COPY --from=build /opt/acd /opt/acd
ENV PATH=/opt/acd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ACD_NODE__DATA_DIR=/var/lib/acd \
    ACD_HTTP__LISTEN=127.0.0.1:8080
USER acd
WORKDIR /var/lib/acd
VOLUME /var/lib/acd
EXPOSE 5060/udp 5060/tcp 8080/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['ACD_HTTP__LISTEN'].rpartition(':')[2] + '/healthz', timeout=2)"]
ENTRYPOINT ["acd"]
CMD ["serve"]
