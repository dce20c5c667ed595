//! Builds every part from a [`Config`], runs them, and ends them in order.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result};
use http::{HeaderName, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::admin::{Admin, Guard};
use crate::config::Config;
use crate::dispatch::{ATTEMPTS_A_THREAD, Dispatch, Running};
use crate::handler::{self, Handlers};
use crate::ingress::{Ingress, Source};
use crate::ledger::{Ledger, Options};
use crate::metrics::Metrics;
use crate::route::{Route, Table};
use crate::server::body::Rate;
use crate::server::{self, Budget, Limits, Served, TlsAcceptor};

/// How long the admin side may take to finish what it was asked.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// hookyard, running.
pub struct App {
    /// Where the public side listens.
    pub public: SocketAddr,
    /// Where the admin side listens.
    pub admin: SocketAddr,
    drain: Duration,
    ledger: Ledger,
    dispatch: Running,
    sides: [Side; 2],
}

/// A listening side, and how to end it.
struct Side {
    stop: oneshot::Sender<()>,
    served: JoinHandle<Served>,
}

impl App {
    /// Opens the ledger, loads the handlers, and listens.
    ///
    /// # Errors
    /// A port is in use, the ledger cannot be opened, a folder or TLS file cannot be read.
    pub async fn start(config: Config) -> Result<Self> {
        let Config { server, sources, routes, handlers: settings } = config;
        let tls =
            server.tls.as_ref().map(|tls| server::acceptor(&tls.cert, &tls.key)).transpose()?;
        let public = listen(server.listen).await?;
        let admin = listen(server.admin).await?;
        let metrics = Metrics::new()?;
        let options = Options {
            data: server.data.clone(),
            dedupe_window: server.dedupe_window,
            dedupe_memory: server.dedupe_memory,
            longest_wait: longest_wait(&routes),
        };
        let threads = server.handler_threads.map_or_else(cores, NonZeroUsize::get);
        let memory = usize::try_from(server.ceilings.memory).unwrap_or(usize::MAX);
        let (plugins, module) = (server.plugins.clone(), server.ceilings.module);
        let opened = metrics.clone();
        let (ledger, handlers) = spawn_blocking(move || -> Result<_> {
            let ledger = Ledger::open(&options, &opened)?;
            let engine = handler::engine(attempts(threads), memory)
                .map_err(|error| anyhow::anyhow!("cannot set up WebAssembly: {error:#}"))?;
            Ok((ledger, Handlers::load(&engine, &plugins, module, settings)))
        })
        .await??;
        let (routes, handlers) = (Arc::new(Table::new(routes)), Arc::new(handlers));
        tell_missing(&routes, &handlers);
        ledger.unpark(runnable(&routes, &handlers));
        let dispatch = Dispatch {
            ledger: ledger.clone(),
            routes: routes.clone(),
            handlers: handlers.clone(),
            metrics: metrics.clone(),
        };
        let dispatch = dispatch.start(threads).context("cannot start the handlers' threads")?;
        let asked = Admin {
            guard: Guard::new(server.admin_token.as_ref().map(|t| t.expose()), server.admin_hosts),
            ledger: ledger.clone(),
            routes: routes.clone(),
            handlers,
            signatures: signatures(&sources),
            metrics: metrics.clone(),
        };
        let limits = Limits {
            connections: usize::try_from(server.connections).unwrap_or(usize::MAX),
            header_bytes: usize::try_from(server.header_bytes).unwrap_or(usize::MAX),
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
        };
        let bodies = Budget::new(usize::try_from(server.body_memory).unwrap_or(usize::MAX));
        let rate = Rate { bytes_per_second: server.body_rate };
        let ingress = Ingress::new(sources, routes, ledger.clone(), bodies, rate, metrics);
        Ok(Self {
            public: public.local_addr()?,
            admin: admin.local_addr()?,
            drain: server.drain_timeout,
            ledger,
            dispatch,
            sides: [
                serve_public(public, tls, limits, ingress, server.drain_timeout),
                serve_admin(admin, asked),
            ],
        })
    }

    /// Ends in order: accepts no more, finishes requests and attempts, and commits.
    pub async fn stop(self) {
        let Self { drain, ledger, dispatch, sides: [public, admin], .. } = self;
        let cut = public.end().await;
        if cut > 0 {
            tracing::warn!(cut, "connections were cut off");
        }
        let cut = spawn_blocking(move || dispatch.stop(drain)).await.unwrap_or_default();
        if cut > 0 {
            tracing::warn!(cut, "attempts were cut off: they are made again after the next start");
        }
        admin.end().await;
        let _closed = spawn_blocking(move || ledger.close()).await;
    }
}

impl Side {
    /// Accepts no more and finishes its requests; returns how many connections it cut off.
    async fn end(self) -> usize {
        // Nobody listens for the word when the side has ended already.
        let _ended = self.stop.send(());
        self.served.await.map_or(0, |served| served.cut)
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

fn serve_public(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    ingress: Ingress,
    drain: Duration,
) -> Side {
    let ingress = Arc::new(ingress);
    let (stop, stopped) = oneshot::channel::<()>();
    let service = move |peer: SocketAddr| {
        let ingress = ingress.clone();
        service_fn(move |request: Request<Incoming>| {
            let ingress = ingress.clone();
            let peer = peer.ip().to_canonical();
            async move { io::Result::Ok(ingress.answer(request, peer).await) }
        })
    };
    let stopped = async { drop(stopped.await) };
    let served = server::serve(listener, tls, limits, service, stopped, drain);
    Side { stop, served: tokio::spawn(served) }
}

fn serve_admin(listener: TcpListener, admin: Admin) -> Side {
    let admin = Arc::new(admin);
    let (stop, stopped) = oneshot::channel::<()>();
    let service = move |_peer: SocketAddr| {
        let admin = admin.clone();
        service_fn(move |request: Request<Incoming>| {
            let admin = admin.clone();
            async move { io::Result::Ok(admin.answer(request).await) }
        })
    };
    let stopped = async { drop(stopped.await) };
    let served = server::serve(listener, None, Limits::DEFAULT, service, stopped, ADMIN_DRAIN);
    Side { stop, served: tokio::spawn(served) }
}

/// How many attempts are under way at the most.
fn attempts(threads: usize) -> u32 {
    u32::try_from(threads * ATTEMPTS_A_THREAD).unwrap_or(u32::MAX)
}

fn tell_missing(routes: &Table, handlers: &Handlers) {
    for (name, handler) in handlers.iter() {
        match handler {
            Ok(handler) => tracing::info!(handler = %name, version = %handler.version(), "loaded"),
            Err(error) => tracing::error!(handler = %name, %error, "cannot be loaded"),
        }
    }
    for route in routes.iter().filter(|route| handlers.get(&route.handler).is_none()) {
        let (route, handler) = (&route.name, &route.handler);
        tracing::warn!(%route, %handler, "the handler's file is missing: deliveries are parked");
    }
}

/// The names of the routes whose handlers can be called.
fn runnable(routes: &Table, handlers: &Handlers) -> Vec<Arc<str>> {
    let ready = |route: &&Arc<Route>| matches!(handlers.get(&route.handler), Some(Ok(_)));
    routes.iter().filter(ready).map(|route| route.name.clone()).collect()
}

fn longest_wait(routes: &[Route]) -> Duration {
    routes.iter().map(|route| route.retry.max).max().unwrap_or_default()
}

fn signatures(sources: &[Source]) -> HashMap<Arc<str>, Vec<HeaderName>> {
    let hidden = |source: &Source| source.verifier.signature_headers().cloned().collect();
    sources.iter().map(|source| (source.name.clone(), hidden(source))).collect()
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}
