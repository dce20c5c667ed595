//! The engine, once for each size of stack: how wasmtime is set up, and the clock that interrupts
//! guests.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
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
const KEPT_STACK: usize = 16 * 1024;

/// The sizes that a guest's own stack may have, in bytes. The engine has one size for all that it
/// runs, so each takes an engine, and address space for a pool.
pub const STACKS: [usize; 5] = [1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20];
/// The size that code is compiled with; it leaves no trace in the code.
const COMPILED_STACK: usize = 1 << 19;
/// The stack of an attempt: the guest's and the host's calls above it.
const ATTEMPT_STACK: usize = 2 * 1024 * 1024;

/// Core modules, memories and tables that a component may have, for each instance of the pool.
const PARTS: u32 = 4;

/// Frames of a guest's stack that a trap's message shows.
const BACKTRACE_FRAMES: usize = 16;

/// The engines that run guests. They have no compiler, so that nothing is compiled in this process.
#[derive(Debug)]
pub struct Engines {
    instances: u32,
    memory: usize,
    by_stack: Mutex<BTreeMap<usize, Engine>>,
}

impl Engines {
    /// `instances` attempts fit in each at once, with memories of at most `memory` bytes; the pool
    /// makes one more fail, so callers must not begin it.
    pub fn new(instances: u32, memory: usize) -> Self {
        Self { instances, memory, by_stack: Mutex::default() }
    }

    /// The engine whose guests have a stack of so many bytes.
    ///
    /// # Errors
    /// The system does not give the address space, or is not one that wasmtime knows.
    pub fn with_stack(&self, bytes: usize) -> wasmtime::Result<Engine> {
        let mut by_stack = self.by_stack.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = by_stack.get(&bytes) {
            return Ok(engine.clone());
        }
        let engine = engine(self.instances, self.memory, bytes)?;
        by_stack.insert(bytes, engine.clone());
        Ok(engine)
    }
}

fn engine(instances: u32, memory: usize, stack: usize) -> wasmtime::Result<Engine> {
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
    let mut config = code(stack);
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
    Engine::new(&code(COMPILED_STACK))
}

/// What code is compiled for, the same for who compiles it and who runs it.
fn code(stack: usize) -> Config {
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
        .max_wasm_stack(stack)
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
