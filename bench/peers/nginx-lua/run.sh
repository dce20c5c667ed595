#!/bin/sh
# nginx verifies in Lua and pushes onto a Redis list; a Node worker moves it to a list of its own
# while it handles it.
set -eu
cd -- "$(dirname -- "$0")"
case $1 in
roles) echo redis server worker ;;
url) echo "http://127.0.0.1:$PORT/webhooks" ;;
version) nginx -v 2>&1 | sed 's/.*: //' ;;
redis) exec ../redis.sh ;;
worker) exec node worker.js ;;
server)
    mkdir -p "$DATA/nginx"
    cat >"$DATA/nginx/nginx.conf" <<CONF
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
user $(id -un); worker_processes 2; daemon off; pid pid; error_log error.log;
env SECRET; env REDIS_PORT;
events { worker_connections 4096; }
http {
    access_log off; keepalive_requests 100000000; client_body_buffer_size 64k;
    client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    lua_package_path "/usr/share/lua/5.1/?.lua;;"; lua_socket_log_errors off;
    server { listen 127.0.0.1:$PORT; location /webhooks { content_by_lua_file $PWD/receive.lua; } }
}
CONF
    exec nginx -p "$DATA/nginx" -c nginx.conf -e error.log
    ;;
esac
