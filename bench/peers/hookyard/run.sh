#!/bin/sh
# hookyard as a peer. HOOKYARD: the program, by default the release build.
# With HANDLED its handler is `tally`, which counts in its state how often it handled each event.
# ROUTER: a file that router.toml has instead of its route; DATA/plugins may have handlers for it.
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)
root=$(cd -- "$here/../../.." && pwd)
hookyard=${HOOKYARD:-$root/target/release/hookyard}
handler=count grants=
[ -z "${HANDLED:-}" ] || { handler=tally grants='state = { bytes = "16MiB" }'; }
route="[[routes]]
source = \"hotglue\"
handler = \"$handler\"
[handlers.$handler]
$grants"
admin=$((${PORT:-18080} + 1))

case $1 in
roles) echo server counter ;;
url) echo "http://127.0.0.1:$PORT/hooks/hotglue" ;;
version) "$hookyard" --version ;;
server)
    mkdir -p "$DATA/plugins"
    cp "$here/$handler.wasm" "$DATA/plugins/"
    cat >"$DATA/router.toml" <<TOML
[server]
listen = "127.0.0.1:$PORT"
admin = "127.0.0.1:$admin"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ env = "SECRET" }]
event_id = { header = "X-Event-Id" }
$(if [ -n "${ROUTER:-}" ]; then cat "$ROUTER"; else echo "$route"; fi)
TOML
    cd "$DATA"
    exec "$hookyard" serve
    ;;
counter) exec python3 "$here/counter.py" "$admin" "$COUNT_DIR" "$DATA/data/ledger.db" ;;
esac
