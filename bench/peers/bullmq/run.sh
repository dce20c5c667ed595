#!/bin/sh
# Express puts each verified event on a BullMQ queue in Redis; a worker takes it from there.
set -eu
cd -- "$(dirname -- "$0")"
export NODE_ENV=production
case $1 in
roles) echo redis server worker ;;
url) echo "http://127.0.0.1:$PORT/webhooks" ;;
version) node -p '["express", "bullmq"].map(n => n + " " + require(n + "/package.json").version).join(", ")' ;;
redis) exec ../redis.sh ;;
*) exec node "$1.js" ;;
esac
