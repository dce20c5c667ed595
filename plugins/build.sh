#!/bin/sh
# Builds handlers written in Rust and puts each beside its folder: plugins/NAME -> plugins/NAME.wasm
#   plugins/build.sh             every plugins/*/Cargo.toml
#   plugins/build.sh FOLDER...   these folders; the package has the folder's name
set -eu

plugins=$(cd -- "$(dirname -- "$0")" && pwd)
target=$(dirname -- "$plugins")/target/guests
triple=wasm32-wasip2

# Asked of rustc, not of rustup, which may not be there.
[ -d "$(rustc --print target-libdir --target "$triple")" ] || rustup target add "$triple"

build() {
    folder=$(cd -- "$1" && pwd)
    name=$(basename -- "$folder")
    cargo build --release --locked --target "$triple" --target-dir "$target" \
        --manifest-path "$folder/Cargo.toml"
    # Renamed into place, so that whoever watches the folder never reads half a file.
    cp -- "$target/$triple/release/$(printf %s "$name" | tr - _).wasm" "$folder.wasm.$$"
    mv -- "$folder.wasm.$$" "$folder.wasm"
}

if [ $# -eq 0 ]; then
    for manifest in "$plugins"/*/Cargo.toml; do
        build "$(dirname -- "$manifest")"
    done
else
    for folder in "$@"; do
        build "$folder"
    done
fi
