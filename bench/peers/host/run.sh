#!/bin/sh
# hookyard's host of wasi:http, without its ledger: see benches/host. HOST_BENCH: the program, by
# default the one that setup.sh builds. It verifies nothing and keeps nothing.
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)

case $1 in
roles) echo server ;;
url) echo "http://127.0.0.1:$PORT/" ;;
version) echo benches/host ;;
server) TMPDIR=$DATA exec "${HOST_BENCH:-$here/host}" "$PORT" "$here/../wasmtime/job.wasm" ;;
esac
