//! Which feature of WebAssembly a module needs that is switched off here.

use wasmparser::{Validator, WasmFeatures};

/// What is switched off, and what it is called; the first that is needed is told.
const OFF: [(WasmFeatures, &str); 7] = [
    (WasmFeatures::CM_ASYNC, "the component model's async functions (WASI 0.3)"),
    (WasmFeatures::GC, "garbage collection (GC)"),
    (WasmFeatures::THREADS, "threads"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "exceptions, of the older kind"),
    (WasmFeatures::EXCEPTIONS, "exceptions"),
    (WasmFeatures::MEMORY64, "64-bit memories (memory64)"),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
];

/// The feature without which a module, valid otherwise, is not.
pub fn needed(binary: &[u8]) -> Option<&'static str> {
    let all = WasmFeatures::all();
    let is_valid = |features| Validator::new_with_features(features).validate_all(binary).is_ok();
    let is_needed = |feature: WasmFeatures| !is_valid(all.difference(feature));
    let off = is_valid(all).then_some(OFF)?;
    off.into_iter().find(|(feature, _)| is_needed(*feature)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_is_switched_off_is_named() {
        for (text, expected) in [
            ("(module)", None),
            ("(module (func (result i32)))", None),
            ("(module (type (struct)) (func (drop (struct.new 0))))", Some("garbage")),
            ("(module (memory 1 1 shared))", Some("threads")),
            ("(module (memory i64 1))", Some("memory64")),
            ("(module (tag) (func (throw 0)))", Some("exceptions")),
            ("(module (func try nop catch_all nop end))", Some("older kind")),
            ("(component (core module (memory 1 1 shared)))", Some("threads")),
            ("(component (import \"f\" (func async)))", Some("WASI 0.3")),
        ] {
            let found = needed(&wat::parse_str(text).unwrap());
            let is_named = match (found, expected) {
                (Some(found), Some(expected)) => found.contains(expected),
                (found, expected) => found == expected,
            };
            assert!(is_named, "{text}: {found:?}");
        }
    }
}
