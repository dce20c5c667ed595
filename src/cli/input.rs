//! What verbs read: router.toml, and a body.

use std::io::{Read, stderr, stdin};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use bytes::Bytes;

use super::answer::{Failed, colored, say};
use crate::config::{Config, Diagnostics};

/// The configuration, and what was found in it: warnings, which go to stderr.
pub fn config(path: &Path) -> Result<(Config, Diagnostics), Failed> {
    let (config, warnings) = Config::load(path).map_err(Failed::Report)?;
    if warnings.iter().next().is_some() {
        say(&warnings.render(colored(&stderr())));
    }
    Ok((config, warnings))
}

/// A file byte for byte; `-` is stdin.
pub fn body(file: &Path) -> anyhow::Result<Bytes> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    Ok(read.with_context(|| format!("cannot read {}", file.display()))?.into())
}

/// Where somebody on this machine reaches what listens on that address.
pub fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}
