//! The table `[server]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::uri::Authority;

use crate::network::Networks;
use crate::quota::Quota;

use super::item::Item;
use super::secrets::{self, SecretText};
use super::section::Section;
use super::setting::Setting;
use crate::ledger::Retention;

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const TEN_YEARS: Duration = DAY.saturating_mul(3_653);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

const LISTEN: SocketAddr = SocketAddr::new(LOCALHOST, 8080);
const ADMIN: SocketAddr = SocketAddr::new(LOCALHOST, 8081);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PLUGINS: &str = "plugins";
const DATA: &str = "data";

const CONNECTIONS: Setting<u32> = Setting::new("connections", 4_096, 1, 1_000_000);
/// hyper takes no less than 8 KiB.
const HEADER_BYTES: Setting<u64> = Setting::new("header_bytes", 64 * KIB, 8 * KIB, 16 * MIB);
const HEADER_TIMEOUT: Setting<Duration> =
    Setting::new("header_timeout", Duration::from_secs(10), MILLISECOND, HOUR);
const BODY_RATE: Setting<u64> = Setting::new("body_rate", 4 * KIB, 1, TIB);
const IDLE_TIMEOUT: Setting<Duration> =
    Setting::new("idle_timeout", Duration::from_secs(75), MILLISECOND, DAY);
const BODY_MEMORY: Setting<u64> = Setting::new("body_memory", 256 * MIB, KIB, TIB);
/// More than any sender with a wrong secret makes, and little enough to be no work.
const REFUSAL_LIMIT: Quota =
    Quota { amount: NonZeroU32::new(1_000).unwrap(), per: Duration::from_secs(60) };
const DEDUPE_WINDOW: Setting<Duration> =
    Setting::new("dedupe_window", DAY, Duration::ZERO, DAY.saturating_mul(365));
const DEDUPE_MEMORY: Setting<u64> = Setting::new("dedupe_memory", 64 * MIB, KIB, TIB);
const MIN_FREE: Setting<u64> = Setting::new("min_free", 1_024 * MIB, 0, TIB);
const DONE: Setting<Duration> =
    Setting::new("done", DAY.saturating_mul(7), Duration::ZERO, TEN_YEARS);
const DEAD: Setting<Duration> =
    Setting::new("dead", DAY.saturating_mul(30), Duration::ZERO, TEN_YEARS);
const UNROUTED: Setting<Duration> = Setting::new("unrouted", DAY, Duration::ZERO, TEN_YEARS);
const BYTES: Setting<u64> = Setting::new("bytes", 10 * 1_024 * MIB, MIB, 1_024 * TIB);
const DRAIN_TIMEOUT: Setting<Duration> =
    Setting::new("drain_timeout", Duration::from_secs(30), Duration::ZERO, DAY);
const CEILING_TIMEOUT: Setting<Duration> =
    Setting::new("timeout", Duration::from_secs(300), MILLISECOND, DAY);
const CEILING_CPU: Setting<Duration> =
    Setting::new("cpu", Duration::from_secs(30), MILLISECOND, HOUR);
/// A page of WebAssembly is 64 KiB; a 32-bit memory ends at 4 GiB.
const CEILING_MEMORY: Setting<u64> = Setting::new("memory", 512 * MIB, 64 * KIB, 4 * 1_024 * MIB);
const CEILING_MODULE: Setting<u64> = Setting::new("module", 64 * MIB, KIB, 1_024 * MIB);
const HANDLER_THREADS: Setting<u32> = Setting::new("handlers", 0, 0, 1_024);

/// Where hookyard listens, where it keeps things, and what it spends at most.
#[derive(Debug)]
pub struct Server {
    /// The public side. Port 0 picks a free one. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// The admin side. Port 0 picks a free one. Default 127.0.0.1:8081.
    pub admin: SocketAddr,
    /// The bearer token of the admin side; there is one whenever `admin` is not loopback.
    pub admin_token: Option<SecretText>,
    /// Further `Host` names the admin side answers to, in lower case, without port. Default none.
    pub admin_hosts: Vec<String>,
    /// Default none: plain HTTP.
    pub tls: Option<Tls>,
    /// The folder of the handlers' modules. Default `plugins`, beside the file.
    pub plugins: PathBuf,
    /// The folder of the ledger. Default `data`, beside the file.
    pub data: PathBuf,
    /// Proxies whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Networks,
    /// Refusals of one peer address, above which it gets 429. Default 1000 a minute.
    pub refusal_limit: Quota,
    /// Open connections of the public side. Default 4096.
    pub connections: u32,
    /// Bytes of request line and headers together. Default 64 KiB.
    pub header_bytes: u64,
    /// From a request's first byte to the end of its headers. Default 10 s.
    pub header_timeout: Duration,
    /// Bytes a second below which a body is too slow. Default 4 KiB/s.
    pub body_rate: u64,
    /// How long a connection may do nothing. Default 75 s.
    pub idle_timeout: Duration,
    /// Bytes of all bodies in flight. Default 256 MiB.
    pub body_memory: u64,
    /// How long an event id is remembered. Default 24 h.
    pub dedupe_window: Duration,
    /// Bytes spent on remembered event ids. Default 64 MiB.
    pub dedupe_memory: u64,
    /// Bytes of free disk below which new events are refused. Default 1 GiB.
    pub min_free: u64,
    /// How long events are kept, and how much of them. Default 7 days when done, 30 days when
    /// dead, 24 h when unrouted, 10 GiB.
    pub retention: Retention,
    /// How long running attempts may go on after the signal to stop. Default 30 s.
    pub drain_timeout: Duration,
    pub ceilings: Ceilings,
    /// Threads that run handlers; `None`, the default, is one a core.
    pub handler_threads: Option<NonZeroUsize>,
}

impl Server {
    /// The keys in which `new` differs, and that a running process cannot change. The admin side's
    /// token and hosts belong to its address: a new address waits, and they with it.
    pub fn waiting(&self, new: &Self) -> Vec<&'static str> {
        // Without `..`, so that no new key is forgotten.
        let Self {
            listen,
            admin,
            admin_token,
            admin_hosts,
            tls,
            plugins: _,
            data,
            trusted_proxies: _,
            refusal_limit,
            connections,
            header_bytes,
            header_timeout,
            body_rate,
            idle_timeout,
            body_memory,
            dedupe_window,
            dedupe_memory,
            min_free,
            retention,
            drain_timeout,
            ceilings: Ceilings { timeout: _, cpu: _, memory, module: _ },
            handler_threads,
        } = self;
        let elsewhere = *admin != new.admin;
        let keys = [
            ("listen", *listen != new.listen),
            ("admin", elsewhere),
            ("admin_token", elsewhere && *admin_token != new.admin_token),
            ("admin_hosts", elsewhere && *admin_hosts != new.admin_hosts),
            ("tls", *tls != new.tls),
            ("data", *data != new.data),
            ("refusal_limit", *refusal_limit != new.refusal_limit),
            ("connections", *connections != new.connections),
            ("header_bytes", *header_bytes != new.header_bytes),
            ("header_timeout", *header_timeout != new.header_timeout),
            ("body_rate", *body_rate != new.body_rate),
            ("idle_timeout", *idle_timeout != new.idle_timeout),
            ("body_memory", *body_memory != new.body_memory),
            ("dedupe_window", *dedupe_window != new.dedupe_window),
            ("dedupe_memory", *dedupe_memory != new.dedupe_memory),
            ("min_free", *min_free != new.min_free),
            ("retention", *retention != new.retention),
            ("drain_timeout", *drain_timeout != new.drain_timeout),
            ("ceilings.memory", *memory != new.ceilings.memory),
            ("threads.handlers", *handler_threads != new.handler_threads),
        ];
        keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

/// The files of the certificate chain and its key, both PEM.
#[derive(Debug, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// What no route and no handler may go above.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings {
    /// Wall time of an attempt. Default 5 min.
    pub timeout: Duration,
    /// CPU time of an attempt. Default 30 s.
    pub cpu: Duration,
    /// Bytes of an instance's linear memories together. Default 512 MiB.
    pub memory: u64,
    /// Bytes of a module's file. Default 64 MiB.
    pub module: u64,
}

pub(super) fn read(server: &mut Section<'_>) -> Server {
    let admin_at = server.item("admin");
    let admin = admin_at.and_then(address).unwrap_or(ADMIN);
    let admin_token = server.optional("admin_token", secrets::single);
    if let Some(item) = admin_at.filter(|_| !is_loopback(admin) && !server.has("admin_token")) {
        item.wrong(
            "`admin` can be reached from other machines, and there is no `admin_token`",
            r#"add admin_token = { env = "HOOKYARD_ADMIN_TOKEN" }, or listen on 127.0.0.1"#,
        );
    }
    let folder = server.context.folder;
    let listen_at = server.item("listen");
    let listen = listen_at.and_then(address).unwrap_or(LISTEN);
    if let Some(item) = admin_at.or(listen_at).filter(|_| listen == admin && listen.port() != 0) {
        item.wrong("`listen` and `admin` are the same address", "give one of them another port");
    }
    Server {
        listen,
        admin,
        admin_token,
        admin_hosts: server.optional("admin_hosts", hosts).unwrap_or_default(),
        tls: server.optional_table("tls", tls),
        plugins: (server.optional("plugins", Item::path)).unwrap_or_else(|| folder.join(PLUGINS)),
        data: (server.optional("data", Item::path)).unwrap_or_else(|| folder.join(DATA)),
        trusted_proxies: server.optional("trusted_proxies", Item::networks).unwrap_or_default(),
        refusal_limit: server.optional("refusal_limit", Item::quota).unwrap_or(REFUSAL_LIMIT),
        connections: server.count(&CONNECTIONS),
        header_bytes: server.size(&HEADER_BYTES),
        header_timeout: server.duration(&HEADER_TIMEOUT),
        body_rate: server.rate(&BODY_RATE),
        idle_timeout: server.duration(&IDLE_TIMEOUT),
        body_memory: server.size(&BODY_MEMORY),
        dedupe_window: server.duration(&DEDUPE_WINDOW),
        dedupe_memory: server.size(&DEDUPE_MEMORY),
        min_free: server.size(&MIN_FREE),
        retention: retention(server),
        drain_timeout: server.duration(&DRAIN_TIMEOUT),
        ceilings: ceilings(server),
        handler_threads: handler_threads(server),
    }
}

/// Whether only this machine can reach the address.
pub(super) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn address(item: Item<'_>) -> Option<SocketAddr> {
    let what = r#"an IP address and a port ("127.0.0.1:8080", "[::]:8080")"#;
    item.parsed(what, |text| text.parse().ok())
}

fn hosts(item: Item<'_>) -> Option<Vec<String>> {
    let hosts = item.list()?.into_iter().filter_map(|item| {
        item.parsed(r#"a host name without port ("hooks.internal")"#, |text| {
            let authority: Authority = text.parse().ok()?;
            (authority.host() == text).then(|| text.to_ascii_lowercase())
        })
    });
    Some(hosts.collect())
}

fn tls(tls: &mut Section<'_>) -> Option<Tls> {
    let cert = tls.required("cert", r#"add cert = "cert.pem""#, Item::path);
    let key = tls.required("key", r#"add key = "key.pem""#, Item::path);
    Some(Tls { cert: cert?, key: key? })
}

fn ceilings(server: &mut Section<'_>) -> Ceilings {
    server.table("ceilings", |ceilings| Ceilings {
        timeout: ceilings.duration(&CEILING_TIMEOUT),
        cpu: ceilings.duration(&CEILING_CPU),
        memory: ceilings.size(&CEILING_MEMORY),
        module: ceilings.size(&CEILING_MODULE),
    })
}

fn retention(server: &mut Section<'_>) -> Retention {
    server.table("retention", |retention| Retention {
        done: retention.duration(&DONE),
        dead: retention.duration(&DEAD),
        unrouted: retention.duration(&UNROUTED),
        bytes: retention.size(&BYTES),
    })
}

fn handler_threads(server: &mut Section<'_>) -> Option<NonZeroUsize> {
    let threads = server.table("threads", |threads| threads.count(&HANDLER_THREADS));
    NonZeroUsize::new(threads as usize)
}
