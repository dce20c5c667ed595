#!/bin/sh
# Redis for a peer. REDIS_MODE: default (snapshots now and then), everysec or always (append-only file).
set -eu
case ${REDIS_MODE:-default} in
default) set -- ;;
*) set -- --appendonly yes --appendfsync "$REDIS_MODE" ;;
esac
exec redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --dir "$DATA" "$@"
