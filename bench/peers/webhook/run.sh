#!/bin/sh
# Debian's `webhook`: answers, then starts a program for each event. It keeps nothing.
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)
case $1 in
roles) echo server ;;
url) echo "http://127.0.0.1:$PORT/hooks/hotglue" ;;
version) webhook -version ;;
server)
    command=/bin/true
    [ -z "${HANDLED:-}" ] || command=$here/log.sh
    cat >"$DATA/hooks.json" <<JSON
[{ "id": "hotglue", "execute-command": "$command",
   "pass-arguments-to-command": [{ "source": "payload", "name": "job_id" }, { "source": "payload", "name": "status" }],
   "trigger-rule-mismatch-http-response-code": 401,
   "trigger-rule": { "match": { "type": "payload-hmac-sha1", "secret": "$SECRET",
                                "parameter": { "source": "header", "name": "X-Hub-Signature" } } } }]
JSON
    exec webhook -hooks "$DATA/hooks.json" -ip 127.0.0.1 -port "$PORT"
    ;;
esac
