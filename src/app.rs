//! Builds every part from a [`Config`], runs them, and ends them in order.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use arc_swap::ArcSwap;
use async_channel::Receiver;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use prometheus::IntCounter;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::admin::{Admin, Guard};
use crate::breaker::Breakers;
use crate::config::{Config, Diagnostics, Server, presets};
use crate::destination::SigningKey;
use crate::dispatch::{ATTEMPTS_A_THREAD, Dispatch, Running};
use crate::handler::{Cache, Compiler, Engines, Job, Outside, Slots};
use crate::handover::Handovers;
use crate::ingress::{Attempts, Ingress, Peers};
use crate::ledger::{Ledger, Options};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::refused::Refused;
use crate::reload::{self, Asker};
use crate::server::body::Rate;
use crate::server::{self, Budget, Limits, TlsAcceptor};
use crate::snapshot::Current;
use crate::watch::{self, Loader, Shared};

/// How long the admin side may take to finish what it was asked.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// The folder of compiled code, in `data`.
const CACHE: &str = "cache";

/// Instances beside those of attempts: a new handler is tried before it is used.
const TRIALS: usize = 1;

/// hookyard, running.
pub struct App {
    /// Where the public side listens.
    pub public: SocketAddr,
    /// Where the admin side listens.
    pub admin: SocketAddr,
    /// Where reloads are asked for.
    pub reload: Asker,
    drain: Duration,
    ledger: Ledger,
    dispatch: Running,
    sides: [Side; 2],
}

/// A listening side, and how to end it.
struct Side {
    stop: oneshot::Sender<()>,
    served: JoinHandle<usize>,
}

impl App {
    /// Opens the ledger, loads the handlers, and listens. `read` is what reading `config` gave.
    ///
    /// # Errors
    /// A port is in use, the ledger cannot be opened, a TLS file cannot be read.
    pub async fn start(config: Config, read: &Diagnostics) -> Result<Self> {
        let server = config.server.clone();
        let tls = server.tls.as_ref().map(|tls| server::acceptor(&tls.cert, &tls.key));
        let tls = tls.transpose().context("`server.tls` cannot be used")?;
        let public = listen("listen", server.listen).await?;
        let admin = listen("admin", server.admin).await?;
        let threads = server.handler_threads.map_or_else(cores, NonZeroUsize::get);
        let metrics = Metrics::new()?;
        let ledger = open(&server, &metrics).await?;
        let guard = Arc::new(ArcSwap::from_pointee(watch::guard(&server)));
        let refused = Arc::<Refused>::default();
        let (slots, jobs) = Slots::new(threads * ATTEMPTS_A_THREAD);
        let outside = Outside::start(vec![public.local_addr()?, admin.local_addr()?])?;
        let handovers = Arc::new(Handovers::new(&server.data));
        let current = Current::default();
        let key = SigningKey::own(&server.data).context("no key to sign forwarded events with")?;
        let breakers = Breakers::default();
        let parts = Parts {
            handovers,
            ledger,
            current,
            slots,
            guard,
            refused,
            breakers,
            metrics,
            outside,
            key,
        };
        let loader = Loader::new(parts.shared(), compiler(&server, threads)?, server.clone(), read);
        let (reload, asks) = reload::channel();
        watch::start(loader, config, asks)?.await.context("the handlers cannot be loaded")?;
        let drain = server.drain_timeout;
        Ok(Self {
            public: public.local_addr()?,
            admin: admin.local_addr()?,
            drain,
            dispatch: parts.dispatch(jobs, threads)?,
            sides: [
                parts.public(public, tls, &server, reload.clone()),
                parts.admin(admin, reload.clone()),
            ],
            reload,
            ledger: parts.ledger,
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
        self.served.await.unwrap_or_default()
    }
}

/// `key` is the one of `[server]` that says where.
async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}, as `server.{key}` says"))
}

/// What the parts share.
struct Parts {
    handovers: Arc<Handovers>,
    ledger: Ledger,
    current: Current,
    slots: Slots,
    guard: Arc<ArcSwap<Guard>>,
    refused: Arc<Refused>,
    breakers: Breakers,
    metrics: Metrics,
    outside: Arc<Outside>,
    /// What forwarded events are signed with.
    key: SigningKey,
}

impl Parts {
    fn shared(&self) -> Shared {
        Shared {
            current: self.current.clone(),
            guard: self.guard.clone(),
            ledger: self.ledger.clone(),
            breakers: self.breakers.clone(),
            metrics: self.metrics.clone(),
            outside: self.outside.clone(),
            key: self.key.clone(),
        }
    }

    fn dispatch(&self, jobs: Receiver<Job>, threads: usize) -> Result<Running> {
        let dispatch = Dispatch {
            outbox: self.outbox(),
            current: self.current.clone(),
            breakers: self.breakers.clone(),
            jobs,
        };
        dispatch.start(threads).context("cannot start the handlers' threads")
    }

    fn public(
        &self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        server: &Server,
        reload: Asker,
    ) -> Side {
        let ingress = Arc::new(Ingress {
            current: self.current.clone(),
            ledger: self.ledger.clone(),
            attempts: Attempts::new(self.slots.clone(), self.outbox()),
            bodies: Budget::new(usize::try_from(server.body_memory).unwrap_or(usize::MAX)),
            rate: Rate { bytes_per_second: server.body_rate },
            handovers: self.handovers.clone(),
            reload,
            peers: Peers::new(server.refusal_limit),
            refused: self.refused.clone(),
            metrics: self.metrics.clone(),
        });
        let limits = Limits {
            connections: usize::try_from(server.connections).unwrap_or(usize::MAX),
            header_bytes: usize::try_from(server.header_bytes).unwrap_or(usize::MAX),
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
        };
        let answer = move |request, peer| {
            let ingress = ingress.clone();
            async move { ingress.answer(request, peer).await }
        };
        serve(listener, tls, limits, server.drain_timeout, self.refused(), answer)
    }

    fn admin(&self, listener: TcpListener, reload: Asker) -> Side {
        let admin = Arc::new(Admin {
            guard: self.guard.clone(),
            reload,
            breakers: self.breakers.clone(),
            handovers: self.handovers.clone(),
            ledger: self.ledger.clone(),
            current: self.current.clone(),
            refused: self.refused.clone(),
            presets: presets::all().map(|preset| (&*preset.name, &preset.scheme.spec)).collect(),
            metrics: self.metrics.clone(),
        });
        let answer = move |request, _peer| admin.clone().answer(request);
        serve(listener, None, Limits::DEFAULT, ADMIN_DRAIN, self.refused(), answer)
    }

    fn outbox(&self) -> Outbox {
        Outbox { ledger: self.ledger.clone(), metrics: self.metrics.clone() }
    }

    fn refused(&self) -> IntCounter {
        self.metrics.connections_refused.clone()
    }
}

/// Opens the ledger, away from the thread that serves.
async fn open(server: &Server, metrics: &Metrics) -> Result<Ledger> {
    let options = Options {
        data: server.data.clone(),
        dedupe_window: server.dedupe_window,
        dedupe_memory: server.dedupe_memory,
        min_free: server.min_free,
        retention: server.retention,
    };
    let metrics = metrics.clone();
    Ok(spawn_blocking(move || Ledger::open(&options, &metrics)).await??)
}

/// What makes programs of modules, on engines with room for all attempts of these threads.
fn compiler(server: &Server, threads: usize) -> Result<Compiler> {
    // As many again for attempts that senders wait for.
    let instances = u32::try_from(2 * threads * ATTEMPTS_A_THREAD + TRIALS)?;
    let memory = usize::try_from(server.ceilings.memory)?;
    let cache = Cache::open(&server.data.join(CACHE)).context("cannot keep compiled code")?;
    Compiler::new(Engines::new(instances, memory), Some(cache))
        .map_err(|error| anyhow!("cannot set up WebAssembly: {error:#}"))
}

/// Serves one side: `answer` gets each request and its peer's address.
fn serve<F>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    drain: Duration,
    refused: IntCounter,
    answer: impl Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + 'static,
) -> Side
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let service = move |peer: SocketAddr| {
        let (answer, peer) = (answer.clone(), peer.ip().to_canonical());
        service_fn(move |request| answer(request, peer).map(io::Result::Ok))
    };
    let served = async move {
        let stopped = async { drop(stopped.await) };
        server::serve(listener, tls, limits, service, stopped, drain, &refused).await
    };
    Side { stop, served: tokio::spawn(served) }
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}
