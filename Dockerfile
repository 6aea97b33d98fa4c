# jeton in a container: `docker build -t jeton .`
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package jeton

FROM debian:bookworm-slim
# The key file lives in a volume. A fresh volume takes the owner of this folder, so it must be there and be the user's own.
RUN groupadd --system --gid 10001 jeton \
    && useradd --system --uid 10001 --gid jeton --no-create-home --shell /usr/sbin/nologin jeton \
    && install --directory --owner=jeton --group=jeton --mode=0700 /var/lib/jeton
COPY --from=build /src/target/release/jeton /usr/local/bin/jeton
USER 10001:10001
# Where jeton.toml is looked for.
WORKDIR /etc/jeton
EXPOSE 4444 4445
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["jeton", "health", "--alive"]
ENTRYPOINT ["jeton"]
CMD ["serve"]
