#!/bin/sh
# The floor: see bench/floor. It verifies nothing and handles nothing.
set -eu
case $1 in
roles) echo server ;;
url) echo "http://127.0.0.1:$PORT/" ;;
version) echo "bench/floor" ;;
server) exec "$(dirname -- "$0")/../../floor/target/release/floor" "$PORT" "$DATA/log" ;;
esac
