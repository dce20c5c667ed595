//! What a guest may ask of the host. What its handler was not granted links all the same, and
//! says so when it is called.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::HasData;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::bindings::hookyard::handler::types;
use super::bindings::wasi::{config, logging};
use super::egress::{Client, Outgoing};
use super::held::Held;
use super::limits::{CpuMeter, FIELD_BYTES, HANDLES, Limiter, Limits};
use super::log::{About, Level, Log};
use super::spent::{Notes, What};
use super::stdio::{Stdout, Streams};
use crate::effects::Staging;

/// Bytes of random data that one call may ask for.
const RANDOM_BYTES: u64 = 64 * 1024;

/// The host's side of one attempt.
pub struct Host {
    /// WASI, of both kinds.
    pub wasi: WasiP1Ctx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    config: Arc<BTreeMap<String, String>>,
    /// What it does to its state, and what it emits.
    pub staging: Staging,
    /// The attempt's log.
    pub log: Log,
    /// What a command has printed to stdout.
    pub stdout: Stdout,
    /// Bytes of a reply's body at the most.
    pub reply_bytes: usize,
    /// What its memories and tables take.
    pub limiter: Limiter,
    /// What its handles take.
    pub held: Held,
    /// The CPU time that it has used.
    pub cpu: CpuMeter,
    /// What it spends, if anyone wants to know.
    pub notes: Option<Notes>,
}

impl Host {
    /// For an attempt of a handler with those limits and that configuration, which sends requests
    /// by `client`.
    pub fn new(
        about: About,
        limits: &Limits,
        config: Arc<BTreeMap<String, String>>,
        client: Option<Arc<Client>>,
        staging: Staging,
        streams: Streams,
        notes: Option<Notes>,
    ) -> Self {
        let key = format!("{}/{}", about.event, about.route);
        let log = Log::new(about, limits.log_bytes);
        let mut builder = WasiCtx::builder();
        builder.max_random_size(RANDOM_BYTES).allow_tcp(false).allow_udp(false);
        let stdout = streams.connect(&mut builder, &log);
        let mut wasi = builder.build_p1();
        wasi.ctx().table.set_max_capacity(HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELD_BYTES);
        Self {
            wasi,
            http,
            outgoing: Outgoing::new(client, log.clone(), key, notes.clone()),
            config,
            staging,
            log,
            stdout,
            reply_bytes: limits.reply_bytes,
            limiter: Limiter::new(limits.memory),
            held: Held::new(),
            cpu: CpuMeter::default(),
            notes,
        }
    }

    /// There is an instance now.
    pub fn is_instantiated(&self) {
        if let Some(notes) = &self.notes {
            notes.lock().instantiating = self.cpu.used();
        }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let table = self.held.table(self.wasi.ctx().table);
        WasiHttpCtxView { hooks: &mut self.outgoing, table, ctx: &mut self.http }
    }
}

impl types::Host for Host {}

/// The host while a guest asks it for something, which is noted when it is done.
pub struct Asking<'a> {
    host: &'a mut Host,
    what: What,
    began: Option<Duration>,
}

/// Links a part of the host so that [`Asking`] serves it.
pub struct Noted;

impl HasData for Noted {
    type Data<'a> = Asking<'a>;
}

impl<'a> Asking<'a> {
    /// Begins now.
    pub fn new(host: &'a mut Host, what: What) -> Self {
        let began = host.notes.is_some().then(|| host.cpu.used());
        Self { host, what, began }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let (Some(notes), Some(began)) = (&self.host.notes, self.began) {
            let mut spent = notes.lock();
            let asked = spent.asked.entry(self.what).or_default();
            asked.times += 1;
            asked.cpu += self.host.cpu.used().saturating_sub(began);
        }
    }
}

impl Deref for Asking<'_> {
    type Target = Host;

    fn deref(&self) -> &Host {
        self.host
    }
}

impl DerefMut for Asking<'_> {
    fn deref_mut(&mut self) -> &mut Host {
        self.host
    }
}

impl logging::logging::Host for Asking<'_> {
    fn log(
        &mut self,
        level: logging::logging::Level,
        context: String,
        message: String,
    ) -> wasmtime::Result<()> {
        use logging::logging::Level as Guest;
        let level = match level {
            Guest::Trace | Guest::Debug => Level::Debug,
            Guest::Info => Level::Info,
            Guest::Warn => Level::Warn,
            Guest::Error | Guest::Critical => Level::Error,
        };
        if context.is_empty() {
            self.log.line(level, &message);
        } else {
            self.log.line(level, &format!("{context}: {message}"));
        }
        Ok(())
    }
}

impl config::store::Host for Asking<'_> {
    fn get(
        &mut self,
        key: String,
    ) -> wasmtime::Result<Result<Option<String>, config::store::Error>> {
        Ok(Ok(self.config.get(&key).cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, config::store::Error>> {
        Ok(Ok(self.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect()))
    }
}
