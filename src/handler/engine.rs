//! The engine, once for each size of stack: how wasmtime is set up.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::ticker::Ticker;

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

/// Core modules that a component may have. Of each of these parts, the pool has room for as many as
/// all its instances may have, so that no handler takes what another needs.
const CORE_INSTANCES: u32 = 64;
/// Linear memories; each takes 4 GiB of address space in the pool.
const MEMORIES: u32 = 4;
/// Tables.
const TABLES: u32 = 16;

/// Frames of a guest's stack that a trap's message shows.
const BACKTRACE_FRAMES: usize = 16;

/// The engines that run guests. They have no compiler, so that nothing is compiled in this process.
#[derive(Debug)]
pub struct Engines {
    instances: u32,
    memory: usize,
    counting: bool,
    ticker: Arc<Ticker>,
    by_stack: Mutex<BTreeMap<usize, Engine>>,
}

impl Engines {
    /// `instances` attempts fit in each at once, with memories of at most `memory` bytes; the pool
    /// makes one more fail, so callers must not begin it.
    pub fn new(instances: u32, memory: usize) -> Self {
        // With RUST_BACKTRACE set, each error of a guest would carry the host's own stack, and the
        // names in it are found by reading the whole program's debug information.
        wasmtime::error::disable_backtrace();
        let (ticker, by_stack) = (Arc::default(), Mutex::default());
        Self { instances, memory, counting: false, ticker, by_stack }
    }

    /// The same, but they count the instructions that they execute, which takes time.
    #[must_use]
    pub fn counting(self) -> Self {
        Self { counting: true, ..self }
    }

    /// What interrupts the guests of all of them.
    pub fn ticker(&self) -> &Arc<Ticker> {
        &self.ticker
    }

    /// Whether they count instructions.
    pub fn are_counting(&self) -> bool {
        self.counting
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
        let engine = engine(self.instances, self.memory, bytes, self.counting)?;
        let weak = engine.weak();
        self.ticker.drive(move || weak.upgrade().map(|engine| engine.increment_epoch()).is_some());
        by_stack.insert(bytes, engine.clone());
        Ok(engine)
    }
}

fn engine(instances: u32, memory: usize, stack: usize, counting: bool) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(instances * CORE_INSTANCES)
        .total_memories(instances * MEMORIES)
        .total_tables(instances * TABLES)
        .total_stacks(instances)
        .max_memory_size(memory)
        .table_elements(super::limits::TABLE_ELEMENTS)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLES)
        .async_stack_keep_resident(KEPT_STACK)
        // A slot that another module's memory was in last is mapped anew, which takes longer than
        // most attempts.
        .max_unused_warm_slots(instances * MEMORIES)
        .pagemap_scan(Enabled::Auto);
    let mut config = code(stack, counting);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool)).enable_compiler(false);
    Engine::new(&config)
}

/// Makes the engine that compiles, and runs nothing, for engines that count instructions or do not.
///
/// # Errors
/// The system is not one that wasmtime knows.
pub fn compiler(counting: bool) -> wasmtime::Result<Engine> {
    Engine::new(&code(COMPILED_STACK, counting))
}

/// What code is compiled for, the same for who compiles it and who runs it.
fn code(stack: usize, counting: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(counting)
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

#[cfg(test)]
mod tests {
    use wasmtime::Store;
    use wasmtime::component::{Component, Instance, Linker};

    use super::super::inspect::Kind;
    use super::super::native::{Compiled, Program};
    use super::*;

    const INSTANCES: u32 = 3;

    /// A component of so many memories, tables and empty modules.
    fn component(engine: &Engine, memories: u32, tables: u32, empty: u32) -> Option<Component> {
        let part = |(kind, n): (&str, u32)| {
            format!("(core instance (instantiate ${kind}))").repeat(n as usize)
        };
        let text = format!(
            "(component (core module $memory (memory 1)) (core module $table (table 1 funcref))
               (core module $empty) {})",
            [("memory", memories), ("table", tables), ("empty", empty)].map(part).concat()
        );
        let code = compiler(false)
            .unwrap()
            .precompile_component(&::wat::parse_str(text).unwrap())
            .unwrap();
        match Compiled::new(Kind::Typed, code).load(engine).ok()? {
            Program::Typed(component) => Some(component),
            _ => None,
        }
    }

    async fn instantiate(component: &Component) -> wasmtime::Result<(Store<()>, Instance)> {
        let mut store = Store::new(component.engine(), ());
        store.set_epoch_deadline(1 << 32);
        let linker = Linker::new(component.engine());
        let instance = linker.instantiate_async(&mut store, component).await?;
        Ok((store, instance))
    }

    #[tokio::test]
    async fn as_many_attempts_as_there_may_be_have_all_their_parts_at_once() {
        let engine = engine(INSTANCES, 1 << 20, STACKS[0], false).unwrap();
        let rest = CORE_INSTANCES - MEMORIES - TABLES;
        let widest = component(&engine, MEMORIES, TABLES, rest).unwrap();
        let mut held = Vec::new();
        for _ in 0..INSTANCES {
            held.push(instantiate(&widest).await.unwrap());
        }
        drop(held);
        for (memories, tables, empty) in
            [(MEMORIES + 1, 0, 0), (0, TABLES + 1, 0), (0, 0, CORE_INSTANCES + 1)]
        {
            let wider = component(&engine, memories, tables, empty);
            assert!(wider.is_none(), "{memories} {tables} {empty}");
        }
    }
}
