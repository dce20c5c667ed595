#!/bin/sh
# FastAPI (uvicorn, uvloop) hands each verified event to Celery over Redis; two worker processes.
set -eu
cd -- "$(dirname -- "$0")"
case $1 in
roles) echo redis worker server ;;
url) echo "http://127.0.0.1:$PORT/webhooks" ;;
version) venv/bin/pip list 2>/dev/null | awk '/^(fastapi|celery|uvicorn) /{ print $1, $2 }' | paste -sd, ;;
redis) exec ../redis.sh ;;
server) exec venv/bin/uvicorn app:app --host 127.0.0.1 --port "$PORT" --no-access-log --log-level warning ;;
worker) exec venv/bin/celery -A tasks worker -c 2 -l WARNING ;;
esac
