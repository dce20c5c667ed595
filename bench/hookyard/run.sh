#!/bin/sh
# hookyard as a peer of the benchmark harness: `roles`, `url`, and one role a call.
# Environment: PORT SECRET DATA COUNT_DIR, and HOOKYARD (the program; default the release build).
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)
root=$(cd -- "$here/../.." && pwd)
admin=$((${PORT:-18080} + 1))

case $1 in
roles) echo server counter ;;
url) echo "http://127.0.0.1:$PORT/hooks/hotglue" ;;
server)
    mkdir -p "$DATA/plugins"
    cp "$here/count.wasm" "$DATA/plugins/"
    cat >"$DATA/router.toml" <<TOML
[server]
listen = "127.0.0.1:$PORT"
admin = "127.0.0.1:$admin"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ env = "SECRET" }]
event_id = { header = "X-Event-Id" }
[[routes]]
source = "hotglue"
handler = "count"
TOML
    cd "$DATA"
    exec "${HOOKYARD:-$root/target/release/hookyard}" serve
    ;;
counter) exec python3 "$here/counter.py" "$admin" "$COUNT_DIR" ;;
esac
