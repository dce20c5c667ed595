#!/bin/sh
# `wasmtime serve`, with a component that any host of wasi:http runs. WASMTIME: the program, by default
# the one that setup.sh builds. FLAGS: more options. It verifies nothing and keeps nothing.
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)
wasmtime=${WASMTIME:-$here/root/bin/wasmtime}

case $1 in
roles) echo server ;;
url) echo "http://127.0.0.1:$PORT/" ;;
version) "$wasmtime" --version ;;
server)
    # -Scli: Rust's standard library imports wasi:cli, which it does not have otherwise.
    # shellcheck disable=SC2086
    exec "$wasmtime" serve -Scli ${FLAGS:-} --addr "127.0.0.1:$PORT" "$here/job.wasm"
    ;;
esac
