//! Whom to ask about events: the server that runs, or the ledger's file while none does.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::Uri;
use serde_json::Value;

use super::answer::{Failed, say};
use super::{client, input};
use crate::admin::Questions;
use crate::clock::wall_ms;
use crate::config::{Config, Reading, SecretText, Server};
use crate::handler::Handlers;
use crate::ledger::{OutsideError, Reader};
use crate::snapshot::{Rules, Snapshot};
use crate::target::Forwards;

/// Where a verb asks.
#[derive(Debug, clap::Args)]
pub struct Where {
    /// Ask the server whose admin side is there, instead of `server.admin`.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<Uri>,
}

/// Whoever answers.
pub enum Asked {
    /// A server's admin side.
    Server {
        /// Its address, as the beginning of a URL.
        base: String,
        /// Its token, if it has one.
        token: Option<SecretText>,
    },
    /// The ledger's file, with router.toml's routes.
    File {
        /// The ledger.
        reader: Reader,
        /// The routes, without handlers.
        snapshot: Box<Snapshot>,
    },
}

impl Asked {
    /// The server of router.toml if it runs, its ledger if not. Mistakes elsewhere in the file are
    /// nothing to those who ask.
    pub fn open(config: &Path, at: &Where) -> Result<Self, Failed> {
        let reading = Reading::of(config);
        let found = reading.found().clone();
        let Some(config) = reading.as_far_as_read() else { return Err(Failed::Report(found)) };
        if found.has_errors() {
            say(
                "warning: router.toml has mistakes, which `hookyard check` shows; asking all the same",
            );
        }
        let data = config.server.data.clone();
        match &at.url {
            Some(url) => Ok(Self::server(base_of(url)?, config)),
            None => match Reader::outside(&data) {
                Ok(reader) => Ok(Self::file(reader, config)),
                Err(OutsideError::InUse(_) | OutsideError::Denied(_)) => {
                    Ok(Self::server(base(&config.server)?, config))
                }
                Err(error) => Err(anyhow!(error).into()),
            },
        }
    }

    fn server(base: String, config: Config) -> Self {
        let token = std::sync::Arc::into_inner(config.server).and_then(|server| server.admin_token);
        Self::Server { base, token }
    }

    fn file(reader: Reader, config: Config) -> Self {
        let Config { server, sources, routes, .. } = config;
        let proxies = server.trusted_proxies.clone();
        let rules = Rules { sources, routes, forwards: Forwards::default(), proxies };
        let snapshot = Snapshot::new(rules, Handlers::default());
        Self::File { reader, snapshot: Box::new(snapshot) }
    }

    /// The answer to a path with its query.
    ///
    /// # Errors
    /// Nobody answers, or the answer is that there is none.
    pub fn get(&self, path: &str, query: &str) -> Result<Value> {
        match self {
            Self::Server { base, token } => {
                let url: Uri = format!("{base}{path}?{query}").parse()?;
                told(client::admin(&url, token.as_ref().map(SecretText::expose), None)?)
            }
            Self::File { reader, snapshot } => {
                let questions = Questions { reader, snapshot, breakers: None, now: wall_ms() };
                let answer = questions.answer(path, query);
                answer.context("there is no such question")?.map_err(|no| anyhow!(no.message))
            }
        }
    }

    /// The answer to a path that something is posted to, which only a server takes.
    ///
    /// # Errors
    /// No server runs, or it says what is wrong.
    pub fn post(&self, path: &str) -> Result<Value> {
        match self {
            Self::Server { base, token } => {
                let url: Uri = format!("{base}{path}").parse()?;
                let token = token.as_ref().map(SecretText::expose);
                told(client::admin(&url, token, Some(Bytes::new()))?)
            }
            Self::File { .. } => bail!("no server runs here: start `hookyard serve` first"),
        }
    }
}

/// The value of an answer with 2xx, or what the answer says is wrong.
fn told(answer: http::Response<Bytes>) -> Result<Value> {
    let (status, body) = (answer.status(), answer.into_body());
    let value: Value = serde_json::from_slice(&body)
        .with_context(|| format!("this is no admin side of hookyard: it answers {status}"))?;
    match value.get("error").and_then(Value::as_str) {
        Some(error) if !status.is_success() => bail!("{error}"),
        _ if !status.is_success() => bail!("the server answers {status}"),
        _ => Ok(value),
    }
}

fn base_of(url: &Uri) -> Result<String> {
    let authority = url.authority().context("--url names no host")?;
    if url.scheme_str() != Some("http") {
        bail!("the admin side speaks http: --url must begin with http://");
    }
    Ok(format!("http://{authority}"))
}

fn base(server: &Server) -> Result<String> {
    if server.admin.port() == 0 {
        bail!("`server.admin` has port 0, so the port is only known to `serve`: give --url");
    }
    Ok(format!("http://{}", input::reachable(server.admin)))
}
