#!/bin/sh
# Gets what the benchmark needs, each from its own registry, and builds hookyard. Given names of parts
# it leaves out what those alone need that are not named.
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

case " ${*:-sandbox} " in *" sandbox "*) ;; *) exit ;; esac

# The engine's version and its profile are hookyard's. What is left out of its usual features takes no
# part in serving.
version=$(sed -n '/^name = "wasmtime"$/{n;s/version = "\(.*\)"/\1/p}' ../Cargo.lock)
if [ -z "${WASMTIME:-}" ] && [ "$(peers/wasmtime/root/bin/wasmtime --version 2>&1)" != "wasmtime $version" ]; then
    echo "building wasmtime $version takes several minutes" >&2
    CARGO_PROFILE_RELEASE_LTO=thin CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
        cargo install --quiet wasmtime-cli --version "$version" --locked --force --root peers/wasmtime/root \
        --no-default-features --features run,serve,cranelift,pooling-allocator,parallel-compilation \
        --features component-model,component-model-async,threads,gc,gc-copying,gc-drc,gc-null \
        --features stack-switching,debug-builtins,coredump,backtrace,demangle,addr2line,logging
fi
../plugins/build.sh peers/wasmtime/job
if [ -z "${HOST_BENCH:-}" ]; then
    program=$(cargo bench --quiet --locked --bench host --no-run --message-format json \
        --manifest-path ../Cargo.toml --target-dir ../target |
        sed -n 's|.*"executable":"\([^"]*/host-[^"]*\)".*|\1|p')
    ln -sf "$program" peers/host/host
fi
