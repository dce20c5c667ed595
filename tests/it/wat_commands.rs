//! WASI commands in WebAssembly's text format, for what no toolchain would write.

/// Where a module reads to and writes from, and how much at once.
const BUFFER: u32 = 1024;
const BUFFER_BYTES: u32 = 60 * 1024;

pub const STDOUT: u32 = 1;
pub const STDERR: u32 = 2;

/// A core module with these instructions. `$put fd at length` writes; `$exit code` ends it.
pub fn module(instructions: &str) -> String {
    with("", instructions)
}

fn with(fields: &str, instructions: &str) -> String {
    format!(
        r#"(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      {fields}
      (func $put (param $fd i32) (param $at i32) (param $length i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $length))
        (if (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
          (then (unreachable))))
      (func (export "_start") {instructions}))"#
    )
}

/// Writes a text, then goes on with these instructions.
pub fn prints(fd: u32, text: &str, then: &str) -> String {
    let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let length = text.len();
    with(
        &format!("(data (i32.const {BUFFER}) \"{escaped}\")"),
        &format!("(call $put (i32.const {fd}) (i32.const {BUFFER}) (i32.const {length})) {then}"),
    )
}

/// Copies stdin.
pub fn copies_to(fd: u32) -> String {
    module(&format!(
        "(loop $again
          (i32.store (i32.const 0) (i32.const {BUFFER}))
          (i32.store (i32.const 4) (i32.const {BUFFER_BYTES}))
          (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
            (then (unreachable)))
          (if (i32.load (i32.const 8)) (then
            (call $put (i32.const {fd}) (i32.const {BUFFER}) (i32.load (i32.const 8)))
            (br $again))))"
    ))
}

/// Writes so many bytes again and again.
pub fn floods(fd: u32, bytes: u32) -> String {
    module(&format!(
        "(loop $again
          (call $put (i32.const {fd}) (i32.const {BUFFER}) (i32.const {bytes})) (br $again))"
    ))
}

/// Exits with the number of times that its instance was run.
pub fn counts() -> String {
    module(
        "(i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
        (call $exit (i32.load (i32.const 16)))",
    )
}

/// Never comes to `_start`.
pub fn spins_before_start() -> String {
    r#"(module (func $spin (loop $again (br $again))) (start $spin) (func (export "_start")))"#
        .to_owned()
}

/// A component whose `wasi:cli/run` gives 0 (ok) or 1 (an error).
pub fn component(result: u32) -> String {
    format!(
        r#"(component
      (core module $code (func (export "run") (result i32) (i32.const {result})))
      (core instance $code (instantiate $code))
      (func $run (result (result)) (canon lift (core func $code "run")))
      (instance $cli (export "run" (func $run)))
      (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

/// A component whose `wasi:cli/run` has no function.
pub fn without_run() -> String {
    r#"(component (instance $nothing) (export "wasi:cli/run@0.2.0" (instance $nothing)))"#
        .to_owned()
}
