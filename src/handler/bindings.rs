//! The host's side of the WIT world `hookyard:handler/webhook-handler`, generated from `wit/`.

/// A handler's bucket. There is one, so a handle says all.
pub struct Bucket;

wasmtime::component::bindgen!({
    path: "wit",
    world: "webhook-handler",
    imports: { default: trappable },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
    with: {
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:http": wasmtime_wasi_http::p2::bindings::http,
        "wasi:keyvalue/store.bucket": Bucket,
    },
});
