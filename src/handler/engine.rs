//! The one engine of the process: how wasmtime is set up, and the clock that interrupts guests.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

/// How often a running guest is interrupted, to let others run and to look at its CPU time.
const TICK: Duration = Duration::from_millis(5);

/// Memory that a slot keeps for its next instance instead of giving it back to the system.
const KEPT_MEMORY: usize = 128 * 1024;
/// Likewise for tables.
const KEPT_TABLES: usize = 16 * 1024;
/// Likewise for the stack on which a guest runs.
const KEPT_STACK: usize = 64 * 1024;

/// A guest's own stack.
const GUEST_STACK: usize = 512 * 1024;
/// The stack of an attempt: the guest's and the host's calls above it.
const ATTEMPT_STACK: usize = 2 * 1024 * 1024;

/// Core modules, memories and tables that a component may have, for each instance of the pool.
const PARTS: u32 = 4;

/// Frames of a guest's stack that a trap's message shows.
const BACKTRACE_FRAMES: usize = 16;

/// Makes the engine that runs guests. It has no compiler, so that nothing is compiled in this
/// process. `instances` attempts fit at once, each with memories of at most `memory` bytes; the
/// pool makes one more fail, so callers must not begin it.
///
/// # Errors
/// The system does not give the address space, or is not one that wasmtime knows.
pub fn engine(instances: u32, memory: usize) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(instances * PARTS)
        .total_memories(instances * PARTS)
        .total_tables(instances * PARTS)
        .total_stacks(instances)
        .max_memory_size(memory)
        .table_elements(super::limits::TABLE_ELEMENTS)
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(64)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLES)
        .async_stack_keep_resident(KEPT_STACK)
        .pagemap_scan(Enabled::Auto);
    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool)).enable_compiler(false);
    let engine = Engine::new(&config)?;
    tick(&engine);
    Ok(engine)
}

/// Makes the engine that compiles, and runs nothing.
///
/// # Errors
/// The system is not one that wasmtime knows.
pub fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&code())
}

/// What code is compiled for, the same for who compiles it and who runs it.
fn code() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Off by configuration, compiled in all the same: the holes known in this version lie in
        // these features, or in builds without them.
        .concurrency_support(false)
        .gc_support(false)
        .wasm_gc(false)
        .wasm_exceptions(false)
        .wasm_threads(false)
        .wasm_memory64(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES))
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(ATTEMPT_STACK)
        .async_stack_zeroing(true);
    config
}

/// Advances the engine's epoch for as long as the engine is there.
fn tick(engine: &Engine) {
    let weak = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    });
}
