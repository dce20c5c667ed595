#!/bin/sh
# Gets what the benchmark needs, each from its own registry, and builds hookyard.
# Asks for root only where a Debian package is missing.
set -eu
cd -- "$(dirname -- "$0")"

missing=
for package in wrk redis-server nginx libnginx-mod-http-lua lua-nginx-redis webhook linux-perf; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
# shellcheck disable=SC2086
[ -z "$missing" ] || apt-get install -y --no-install-recommends $missing >/dev/null

[ -d peers/bullmq/node_modules ] || npm --prefix peers/bullmq install --no-audit --no-fund >/dev/null
if [ ! -d peers/celery/venv ]; then
    python3 -m venv peers/celery/venv
    peers/celery/venv/bin/pip install --quiet fastapi uvicorn uvloop httptools 'celery[redis]'
fi
if [ ! -d venv ]; then
    python3 -m venv venv
    venv/bin/pip install --quiet matplotlib
fi

cargo build --quiet --release --locked --manifest-path floor/Cargo.toml --target-dir floor/target
[ -n "${HOOKYARD:-}" ] || cargo build --quiet --release --locked --manifest-path ../Cargo.toml --target-dir ../target
../plugins/build.sh peers/hookyard/count peers/hookyard/tally
