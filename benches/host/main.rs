//! hookyard's host of `wasi:http` behind hookyard's HTTP server, without sources and without the
//! ledger: what `bench/run --parts sandbox` holds against `wasmtime serve`.
//! `cargo bench --bench host -- PORT FILE.wasm` serves until it is killed.

#[path = "../handlers/mod.rs"]
mod handlers;

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use async_channel::Receiver;
use bytes::Bytes;
use futures_util::FutureExt;
use hookyard::breaker::Breakers;
use hookyard::delivery::{Outcome, Reply};
use hookyard::dispatch::{ATTEMPTS_A_THREAD, Dispatch, Running};
use hookyard::effects::{Committed, Scratch};
use hookyard::event::Event;
use hookyard::handler::{Call, Handler, Job, Slots};
use hookyard::ledger::{Ledger, Options};
use hookyard::metrics::Metrics;
use hookyard::outbox::Outbox;
use hookyard::server::body::{self, Rate};
use hookyard::server::{self, Budget, Limits};
use hookyard::snapshot::Current;
use hookyard::verify::{self, Verifier};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use tikv_jemallocator::Jemalloc;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// The server's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const NAME: &str = "served";
const TIMEOUT: Duration = Duration::from_secs(10);
const BODY: usize = 25 << 20;
const BODIES: usize = 256 << 20;
const RATE: Rate = Rate { bytes_per_second: 4 << 10 };

fn main() -> ExitCode {
    if let Some(code) = handlers::compiled() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let [port, file] = &arguments[..] else {
        eprintln!("it measures nothing by itself: it serves at PORT what is in FILE.wasm");
        // `cargo bench` runs it among the others.
        return if arguments.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serve(port.parse().expect("a port"), Path::new(file)));
    ExitCode::SUCCESS
}

async fn serve(port: u16, file: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let threads = available_parallelism().map_or(1, NonZeroUsize::get);
    let (slots, jobs) = Slots::new(threads * ATTEMPTS_A_THREAD);
    let metrics = Metrics::new().expect("metrics");
    let _running = start(threads, jobs, folder.path(), &metrics);
    let handler = load(folder.path(), file, threads * ATTEMPTS_A_THREAD).await;
    let verifier = handlers::verifier();
    let host = Arc::new(Host { handler, slots, verifier, bodies: Budget::new(BODIES) });
    let service = move |peer: SocketAddr| {
        let host = host.clone();
        service_fn(move |request| {
            let host = host.clone();
            async move { host.answer(request, peer.ip()).await }.map(io::Result::Ok)
        })
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("a free port");
    let (limits, refused) = (Limits::DEFAULT, &metrics.connections_refused);
    server::serve(listener, None, limits, service, pending(), Duration::ZERO, refused).await;
}

/// The server's own handler threads. The ledger that they take their other work from stays empty.
fn start(threads: usize, jobs: Receiver<Job>, data: &Path, metrics: &Metrics) -> Running {
    let server = handlers::config().server;
    let options = Options {
        data: data.join("data"),
        dedupe_window: server.dedupe_window,
        dedupe_memory: server.dedupe_memory,
        min_free: server.min_free,
        retention: server.retention,
    };
    let ledger = Ledger::open(&options, metrics).expect("a ledger");
    let outbox = Outbox { ledger, metrics: metrics.clone() };
    let (current, breakers) = (Current::default(), Breakers::default());
    Dispatch { outbox, current, breakers, jobs }.start(threads).expect("threads")
}

async fn load(folder: &Path, file: &Path, attempts: usize) -> Arc<Handler> {
    std::fs::copy(file, folder.join(format!("{NAME}.wasm"))).expect("a file");
    let settings = BTreeMap::from([(NAME.to_owned(), handlers::config().other_handlers)]);
    let attempts = u32::try_from(attempts).expect("few threads");
    let loaded = handlers::load(folder, settings, None, attempts).await;
    loaded.get(NAME).expect("a file").expect("a handler").clone()
}

struct Host {
    handler: Arc<Handler>,
    slots: Slots,
    verifier: Verifier,
    bodies: Budget,
}

impl Host {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let promised = body.size_hint().exact();
        let Ok(held) = body::read(body, promised, BODY, RATE, &self.bodies).await else {
            return failed(StatusCode::BAD_REQUEST);
        };
        let target = head.uri.to_string();
        let (method, headers) = (head.method, head.headers);
        let request = verify::Request { method, target, headers, body: held.bytes, peer };
        let event = handlers::event(&self.verifier, request);
        let Some(slot) = self.slots.take() else { return failed(StatusCode::SERVICE_UNAVAILABLE) };
        match slot.run(attempt(self.handler.clone(), event)).await {
            Some(Outcome::Reply(reply)) => replied(reply),
            _ => failed(StatusCode::BAD_GATEWAY),
        }
    }
}

/// Makes an attempt, on a handler thread.
async fn attempt(handler: Arc<Handler>, event: Event) -> Outcome {
    let _turn = handler.turn(false).await;
    let (route, state): (_, Arc<dyn Committed>) = (NAME.into(), Arc::new(Scratch::default()));
    let id = "evt_1";
    let call = Call { id, event: &event, route: &route, attempt: 1, waits: true, notes: None };
    handler.call(call, state, TIMEOUT).await.outcome
}

fn replied(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(reply.body.into()).expect("a handler's reply")
}

fn failed(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}
