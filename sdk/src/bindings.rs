//! Everything in the world `hookyard:handler/webhook-handler`, as `wit-bindgen` writes it.
//!
//! For what this crate has no shorter way to say: `wasi::http` for calls to granted hosts,
//! `wasi::keyvalue` for state.

wit_bindgen::generate!({
    path: "../wit",
    world: "webhook-handler",
    generate_all,
    pub_export_macro: true,
    additional_type_attributes: {
        "hookyard:handler/types@0.1.0/header": [#[derive(PartialEq)]],
        "hookyard:handler/types@0.1.0/reply": [#[derive(PartialEq)]],
        "hookyard:handler/types@0.1.0/later": [#[derive(PartialEq)]],
        "hookyard:handler/types@0.1.0/outcome": [#[derive(PartialEq)]],
    },
});
