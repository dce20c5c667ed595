//! A small HTTP client: one request, one answer.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::pinned;
use crate::config::Tls;
use crate::verify;

/// How long the whole exchange may take: longer than a sync route usually does.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an answer's body that are read.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

const AGENT: &str = concat!("hookyard/", env!("CARGO_PKG_VERSION"));

/// Posts a request to the host of `url`, and reads the whole answer.
///
/// # Errors
/// The URL is no http or https URL, nobody answers in time, or an https server has another
/// certificate than `tls` names.
pub fn post(url: &Uri, signed: verify::Request, tls: Option<&Tls>) -> Result<Response<Bytes>> {
    let mut request = Request::post(signed.target).body(Full::new(signed.body))?;
    *request.headers_mut() = signed.headers;
    exchange(url, request, tls)
}

/// Asks the admin side of a server at `url`, or tells it something.
///
/// # Errors
/// As for [`post`].
pub fn admin(url: &Uri, token: Option<&str>, body: Option<Bytes>) -> Result<Response<Bytes>> {
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let request = if body.is_some() { Request::post(target) } else { Request::get(target) };
    let mut request = request
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body.unwrap_or_default()))?;
    if let Some(token) = token {
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let bearer = bearer.context("`server.admin_token` is no header")?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    exchange(url, request, None)
}

fn exchange(
    url: &Uri,
    mut request: Request<Full<Bytes>>,
    tls: Option<&Tls>,
) -> Result<Response<Bytes>> {
    let host = url.authority().context("the URL names no host")?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(host.as_str())?);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exchange = async { timeout(PATIENCE, connected(url, request, tls)).await };
    let answer = runtime.block_on(exchange);
    answer.with_context(|| format!("no answer from {host} within {} s", PATIENCE.as_secs()))?
}

async fn connected(
    url: &Uri,
    request: Request<Full<Bytes>>,
    tls: Option<&Tls>,
) -> Result<Response<Bytes>> {
    // An IPv6 address stands in brackets.
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    match url.scheme_str() {
        Some("http") => speak(connect(host, url.port_u16().unwrap_or(80)).await?, request).await,
        Some("https") => {
            let tls = tls.context(
                "of https servers only one with the certificate of `server.tls` is known, and there is none: give an http URL",
            )?;
            let stream = connect(host, url.port_u16().unwrap_or(443)).await?;
            speak(pinned::connect(stream, host, &tls.cert).await?, request).await
        }
        _ => bail!("the URL must begin with http:// or https://"),
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream> {
    let connected = TcpStream::connect((host, port)).await;
    connected.with_context(|| {
        format!("cannot connect to {host} port {port}, where `hookyard serve` should be")
    })
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong with the connection, the request's future says too.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.context("there is no answer")?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| anyhow!("the answer breaks off: {error}"))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
