# An image that indexes, searches and serves, on CPUs: docs/search.md. EXTRAS=[train] also trains.
FROM python:3.12.12-slim-bookworm

ARG EXTRAS=
RUN useradd --create-home --uid 1000 animclip
WORKDIR /build
COPY . .
RUN pip install --no-cache-dir --no-compile -c constraints/py312.txt ".${EXTRAS}" \
    && rm -rf /build/*

USER 1000
WORKDIR /work
EXPOSE 8000
ENTRYPOINT ["animclip"]
CMD ["--help"]
