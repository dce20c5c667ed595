//! Typed handlers in WebAssembly's text format, for what no toolchain would write.
//!
//! How they speak with the host is the component model's canonical ABI. `handle` takes the event's
//! fields as 16 plain values (one more, and it would take a pointer) and gives back the address of
//! an outcome: 24 bytes, six little-endian words.
//!
//! | word | ack | reply | retry | reject |
//! |---|---|---|---|---|
//! | 0 | 0 | 1 | 2 | 3 |
//! | 1 | | status | 1 if there is a delay | reason |
//! | 2 | | headers | delay in ms | its length |
//! | 3 | | their number | reason | |
//! | 4 | | body | its length | |
//! | 5 | | its length | | |
//!
//! Strings and lists are an address and a length. A header is 16 bytes: its name, its value.

/// Where an outcome lies that is written down beforehand, and after it its texts.
const OUTCOME: u32 = 16;
const TEXTS: u32 = OUTCOME + 24;

/// What the world `webhook-handler` brings in by `use`.
const TYPES: &str = r#"
  (import "hookyard:handler/types@0.1.0" (instance $types
    (type $header' (record (field "name" string) (field "value" (list u8))))
    (export "header" (type $header (eq $header')))
    (type $event' (record
      (field "id" string) (field "source" string) (field "event-type" string) (field "route" string)
      (field "received-at" u64) (field "attempt" u32) (field "headers" (list $header))
      (field "body" (list u8)) (field "attributes" (list (tuple string string)))))
    (export "event" (type $event (eq $event')))
    (type $reply' (record
      (field "status" u16) (field "headers" (list $header)) (field "body" (list u8))))
    (export "reply" (type $reply (eq $reply')))
    (type $later' (record (field "after-ms" (option u32)) (field "reason" string)))
    (export "later" (type $later (eq $later')))
    (type $outcome' (variant
      (case "ack") (case "reply" $reply) (case "retry" $later) (case "reject" string)))
    (export "outcome" (type $outcome (eq $outcome')))))
  (alias export $types "event" (type $event))
  (alias export $types "outcome" (type $outcome))
"#;

/// Memory and its allocator, apart from the handler's code, so that an import of that code can be
/// given the memory too. The first page is for texts; the allocator never frees.
const MEMORY: &str = r#"
  (core module $memory
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
      (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $top) (i32.shl (memory.size) (i32.const 16))))
        (br_if $fits (i32.ne (i32.const -1) (memory.grow
          (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16))))))
        (unreachable))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
"#;

const LOGGING: &str = r#"
  (import "wasi:logging/logging@0.1.0-draft" (instance $logging
    (type $level' (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $level')))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
  (core func $log (canon lower (func $logging "log") (memory $mem) string-encoding=utf8))
  (core instance $host (export "log" (func $log)))
"#;

/// A handler of these parts: imports of the component, `with` for the core module, and its fields,
/// among them an exported function `handle`.
fn component(imports: &str, with: &str, fields: &str) -> String {
    component_on(MEMORY, imports, with, fields)
}

fn component_on(memory: &str, imports: &str, with: &str, fields: &str) -> String {
    format!(
        r#"(component {TYPES} {memory} {imports}
  (core module $code (import "memory" "memory" (memory 2)) {fields})
  (core instance $code (instantiate $code (with "memory" (instance $memory)) {with}))
  (func $handle (param "event" $event) (result $outcome)
    (canon lift (core func $code "handle") (memory $mem) (realloc $realloc)
      string-encoding=utf8))
  (instance $handler
    (export "event" (type $event)) (export "outcome" (type $outcome))
    (export "handle" (func $handle)))
  (export "hookyard:handler/handler@0.1.0" (instance $handler)))"#
    )
}

/// `handle` with these instructions, which leave an outcome's address on the stack or never end.
fn handle(instructions: &str) -> String {
    format!(
        r#"(func (export "handle")
      (param $id i32) (param $id_len i32) (param $source i32) (param $source_len i32)
      (param $type i32) (param $type_len i32) (param $route i32) (param $route_len i32)
      (param $received_at i64) (param $attempt i32) (param $headers i32) (param $headers_len i32)
      (param $body i32) (param $body_len i32) (param $attributes i32) (param $attributes_len i32)
      (result i32) {instructions})"#
    )
}

/// A handler of these instructions alone.
pub fn plain(instructions: &str) -> String {
    component("", "", &handle(instructions))
}

/// Bytes as a data segment.
fn data(at: u32, bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {at}) \"{escaped}\")")
}

/// The texts that an outcome points to.
#[derive(Default)]
struct Texts(Vec<u8>);

impl Texts {
    /// The address and length of a text once it is in memory.
    fn put(&mut self, text: &[u8]) -> [u32; 2] {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let address = TEXTS + self.0.len() as u32;
        self.0.extend(text);
        [address, text.len() as u32]
    }
}

/// A handler that gives back what already lies in its memory.
fn returns(outcome: [u32; 6], texts: &Texts) -> String {
    let words: Vec<u8> = outcome.into_iter().flat_map(u32::to_le_bytes).collect();
    let fields =
        [data(OUTCOME, &words), data(TEXTS, &texts.0), handle(&format!("(i32.const {OUTCOME})"))];
    component("", "", &fields.concat())
}

pub fn ack() -> String {
    returns([0; 6], &Texts::default())
}

pub fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let mut texts = Texts::default();
    let mut list = Vec::new();
    for (name, value) in headers {
        for word in [texts.put(name.as_bytes()), texts.put(value.as_bytes())].concat() {
            list.extend(word.to_le_bytes());
        }
    }
    let [list, _] = texts.put(&list);
    let [body, body_len] = texts.put(body.as_bytes());
    let count = headers.len() as u32;
    returns([1, status.into(), list, count, body, body_len], &texts)
}

pub fn retry(after_ms: Option<u32>, reason: &str) -> String {
    let mut texts = Texts::default();
    let [reason, reason_len] = texts.put(reason.as_bytes());
    let delay = after_ms.unwrap_or_default();
    returns([2, after_ms.is_some().into(), delay, reason, reason_len, 0], &texts)
}

/// Asks for another attempt, a millisecond later, until attempt `n`, which it acks.
pub fn ack_at(n: u32) -> String {
    plain(&format!(
        "(if (i32.lt_u (local.get $attempt) (i32.const {n})) (then
          (i32.store (i32.const {OUTCOME}) (i32.const 2))
          (i32.store offset=4 (i32.const {OUTCOME}) (i32.const 1))
          (i32.store offset=8 (i32.const {OUTCOME}) (i32.const 1))))
        (i32.const {OUTCOME})"
    ))
}

/// The reason may be bytes that are no UTF-8.
pub fn reject(reason: impl AsRef<[u8]>) -> String {
    let mut texts = Texts::default();
    let [reason, reason_len] = texts.put(reason.as_ref());
    returns([3, reason, reason_len, 0, 0, 0], &texts)
}

/// Retries, and gives three digits as the reason: the attempt, and how often it was called as its
/// own global and its own memory say.
pub fn count() -> String {
    let reason = TEXTS;
    let fields = [
        "(global $calls (mut i32) (i32.const 48))".to_owned(),
        data(reason, b"\x30\x30\x30"),
        handle(&format!(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store8 (i32.const {reason}) (i32.add (local.get $attempt) (i32.const 48)))
            (i32.store8 offset=1 (i32.const {reason}) (global.get $calls))
            (i32.store8 offset=2 (i32.const {reason})
              (i32.add (i32.load8_u offset=2 (i32.const {reason})) (i32.const 1)))
            (i32.store (i32.const {OUTCOME}) (i32.const 2))
            (i32.store offset=12 (i32.const {OUTCOME}) (i32.const {reason}))
            (i32.store offset=16 (i32.const {OUTCOME}) (i32.const 3))
            (i32.const {OUTCOME})"
        )),
    ];
    component("", "", &fields.concat())
}

/// A rejection whose reason goes on beyond the end of memory.
pub fn endless_reason() -> String {
    returns([3, TEXTS, u32::MAX - TEXTS, 0, 0, 0], &Texts::default())
}

/// An outcome that there is not.
pub fn no_outcome() -> String {
    returns([4, 0, 0, 0, 0, 0], &Texts::default())
}

pub fn trap() -> String {
    plain("unreachable")
}

pub fn spin() -> String {
    plain("(loop $again (br $again)) unreachable")
}

pub fn recurse() -> String {
    let fields = "(func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))";
    component("", "", &[fields, &handle("(call $deeper)")].concat())
}

/// Asks for memory, a MiB at a time, until there is no more; then traps.
pub fn grow() -> String {
    plain(
        "(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
        unreachable",
    )
}

/// Asks for memory until there is no more, then for nothing at all, for ever.
pub fn grow_then_spin() -> String {
    plain(
        "(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
        (loop $for_ever (br $for_ever))
        unreachable",
    )
}

/// Replies with a body of so many zeros, or, where memory cannot grow that far, with one that
/// ends outside of it.
pub fn huge_reply(bytes: u32) -> String {
    plain(&format!(
        "(drop (memory.grow (i32.const {pages})))
        (i32.store (i32.const {OUTCOME}) (i32.const 1))
        (i32.store offset=4 (i32.const {OUTCOME}) (i32.const 200))
        (i32.store offset=16 (i32.const {OUTCOME}) (i32.const 131072))
        (i32.store offset=20 (i32.const {OUTCOME}) (i32.const {bytes}))
        (i32.const {OUTCOME})",
        pages = bytes.div_ceil(1 << 16)
    ))
}

/// Never comes to be called: instantiation does not end.
pub fn spin_at_start() -> String {
    let start = "(func $start (loop $again (br $again))) (start $start)";
    component("", "", &[start, &handle("unreachable")].concat())
}

/// A component that is no handler.
pub fn without_export() -> String {
    "(component)".to_owned()
}

pub fn unknown_import() -> String {
    let import = r#"(import "acme:magic/wand@1.0.0" (instance (export "wave" (func))))"#;
    component(import, "", &handle("unreachable"))
}

/// Logs a line at level info, then acks.
pub fn log(message: &str) -> String {
    logging(message, |log| format!("{log} (i32.const {OUTCOME})"))
}

/// Logs the same line for ever.
pub fn endless_log(message: &str) -> String {
    logging(message, |log| format!("(loop $again {log} (br $again)) unreachable"))
}

/// `code` makes the instructions of `handle` from those that log the line.
fn logging(message: &str, code: impl FnOnce(&str) -> String) -> String {
    let mut texts = Texts::default();
    let [message, len] = texts.put(message.as_bytes());
    let info = 2;
    let log = format!(
        "(call $log (i32.const {info}) (i32.const 0) (i32.const 0) \
         (i32.const {message}) (i32.const {len}))"
    );
    let fields = [
        r#"(import "host" "log" (func $log (param i32 i32 i32 i32 i32)))"#.to_owned(),
        data(TEXTS, &texts.0),
        handle(&code(&log)),
    ];
    component(LOGGING, r#"(with "host" (instance $host))"#, &fields.concat())
}

/// Calls itself so many times as are left.
const DEEPER: &str = "(func $deeper (param $left i32) (result i32)
    (if (result i32) (local.get $left)
      (then (i32.add (call $deeper (i32.sub (local.get $left) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))";

/// Calls itself `depth` times, comes back, and acks.
pub fn recurse_to(depth: u32) -> String {
    let call = format!("(drop (call $deeper (i32.const {depth}))) (i32.const {OUTCOME})");
    component("", "", &[DEEPER, &handle(&call)].concat())
}

/// Does so when it is instantiated, and acks.
pub fn recurse_at_start(depth: u32) -> String {
    let start = format!("(func $start (drop (call $deeper (i32.const {depth})))) (start $start)");
    with_fields(&[DEEPER, &start].concat(), &format!("(i32.const {OUTCOME})"))
}

/// Hands a message of so many bytes to the log, then acks.
pub fn log_of(bytes: u32) -> String {
    let pages = bytes.div_ceil(1 << 16);
    logging("", |_| {
        format!(
            "(drop (memory.grow (i32.const {pages})))
            (call $log (i32.const 2) (i32.const 0) (i32.const 0)
              (i32.const 131072) (i32.const {bytes}))
            (i32.const {OUTCOME})"
        )
    })
}

/// As [`plain`], with more beside `handle` in its module.
pub fn with_fields(fields: &str, instructions: &str) -> String {
    component("", "", &[fields, &handle(instructions)].concat())
}

/// A handler whose allocator gives this, whatever it is asked for. The event is not empty, so it
/// is asked before `handle` is called.
pub fn allocates(instructions: &str) -> String {
    let memory = format!(
        r#"
  (core module $memory
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) {instructions}))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
"#
    );
    component_on(&memory, "", "", &handle("unreachable"))
}

/// Takes memory in four memories, in turn, until there is no more; then traps.
pub fn grow_many() -> String {
    let modules = r#"
  (core module $grows (memory 1)
    (func (export "grow") (result i32) (memory.grow (i32.const 16))))
  (core instance $a (instantiate $grows))
  (core instance $b (instantiate $grows))
  (core instance $c (instantiate $grows))"#;
    let with = r#"(with "a" (instance $a)) (with "b" (instance $b)) (with "c" (instance $c))"#;
    let imports = ["a", "b", "c"]
        .map(|name| format!(r#"(import "{name}" "grow" (func ${name} (result i32)))"#));
    let grow = "(loop $again
        (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16))))
        (br_if $again (i32.ne (i32.const -1) (call $a)))
        (br_if $again (i32.ne (i32.const -1) (call $b)))
        (br_if $again (i32.ne (i32.const -1) (call $c))))
      unreachable";
    component(modules, with, &[&imports.concat(), &*handle(grow)].concat())
}

/// Replies with so many header fields without a name.
pub fn many_headers(fields: u32) -> String {
    plain(&format!(
        "(drop (memory.grow (i32.const {pages})))
        (i32.store (i32.const {OUTCOME}) (i32.const 1))
        (i32.store offset=4 (i32.const {OUTCOME}) (i32.const 200))
        (i32.store offset=8 (i32.const {OUTCOME}) (i32.const 131072))
        (i32.store offset=12 (i32.const {OUTCOME}) (i32.const {fields}))
        (i32.const {OUTCOME})",
        pages = (fields * 16).div_ceil(1 << 16)
    ))
}
