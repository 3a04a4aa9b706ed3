# docker build -t millrace .
FROM rust:1.95-bookworm AS build
# The image's own toolchain is the pinned one; rustup would fetch its linters too.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libssl-dev pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release -p millrace && cp target/release/millrace /usr/local/bin/

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/millrace --create-home millrace
COPY --from=build /usr/local/bin/millrace /usr/local/bin/millrace
USER millrace
WORKDIR /var/lib/millrace
# The embedded log, where a worker is configured with log.dir below it.
VOLUME /var/lib/millrace
# The worker's API and the registry's.
EXPOSE 8083 8081
ENTRYPOINT ["millrace"]
