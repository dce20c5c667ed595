//! What one attempt sends.

use std::future::ready;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{HeaderName, TE, TRAILER};
use http::request::Parts;
use http::{Method, Request, Response};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as Code, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks,
};

use super::client::{Client, Times, drain};
use super::failure::Failure;
use super::target::{Target, address, path};
use super::{body, denied, secrets};
use crate::handler::log::{Level, Log};
use crate::handler::spent::Notes;

/// Bytes of a body that a guest writes at once; a few such pieces wait in memory.
const CHUNK_BYTES: usize = 64 << 10;

/// The outgoing side of one attempt.
pub struct Outgoing {
    client: Option<Arc<Client>>,
    log: Log,
    key: String,
    sent: u32,
    notes: Option<Notes>,
}

type Processed = Box<dyn Future<Output = Result<(), Code>> + Send>;
type Sent = Result<(Response<WasiBody>, Processed), Code>;

impl Outgoing {
    /// For an attempt of this handler; without one, nothing is sent. `key` is the same for all
    /// attempts of a delivery. What comes of requests is noted if anyone wants to know.
    pub fn new(client: Option<Arc<Client>>, log: Log, key: String, notes: Option<Notes>) -> Self {
        Self { client, log, key, sent: 0, notes }
    }

    /// Where a request goes, and its head as it is sent.
    fn prepare(&mut self, head: Parts) -> Result<(Arc<Client>, Target, Parts), Code> {
        let Some(client) = self.client.clone() else { return Err(Code::HttpRequestDenied) };
        let (handler, reach) = (&*client.owner, &client.reach);
        let Some(target) = Target::of(&head.uri) else {
            return Err(self.refused("a request whose URL is none", Code::HttpRequestUriInvalid));
        };
        if matches!(head.method, Method::CONNECT | Method::TRACE) {
            let what = format!("{target}: {} is no method for handlers", head.method);
            return Err(self.refused(&what, Code::HttpRequestMethodInvalid));
        }
        if !reach.allow(&target) {
            return Err(self.denied(&denied::target(handler, reach, &target)));
        }
        if self.sent >= reach.calls {
            return Err(self.denied(&denied::calls(handler, reach)));
        }
        self.sent += 1;
        let mut head = self.addressed(head, &target);
        if let Some(secret) = secrets::in_url(&client.secrets, &head.uri) {
            let name = &secret.name;
            let what = format!("{target}: the secret `{name}` is put into headers, not into URLs");
            self.log.line(Level::Warn, &what);
        }
        if let Err(secret) = secrets::reveal(&client.secrets, &target, &mut head.headers) {
            let what = denied::secret(handler, &secret.name, &secret.hosts, &target);
            return Err(self.denied(&what));
        }
        Ok((client, target, head))
    }

    /// A head with what hookyard adds. A second request of the attempt is not the first one again,
    /// so it gets a key of its own.
    fn addressed(&self, mut head: Parts, target: &Target) -> Parts {
        head.uri = path(&head.uri);
        let key = match self.sent {
            1 => self.key.clone(),
            n => format!("{}/{n}", self.key),
        };
        address(&mut head.headers, target, &key);
        head
    }

    fn denied(&self, message: &str) -> Code {
        self.refused(message, Code::HttpRequestDenied)
    }

    fn refused(&self, message: &str, code: Code) -> Code {
        self.log.line(Level::Warn, message);
        code
    }
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Processed,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (head, content) = request.into_parts();
        match self.prepare(head) {
            Ok((client, target, head)) => {
                let request = Request::from_parts(head, body::request(content));
                let log = self.log.clone();
                let noted = self.notes.as_ref().map(|notes| notes.request(target.to_string()));
                let sent = send(client, target, request, Times::asked(options), log);
                Box::new(sent.inspect(|sent| {
                    if let Some(noted) = noted {
                        noted(status(sent));
                    }
                }))
            }
            Err(code) => {
                drain(content);
                Box::new(ready(Err(code)))
            }
        }
    }

    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }
}

/// Whether a field is the connection's, and not a guest's.
fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name) || [TE, TRAILER].contains(name)
}

/// The status of an answer, or why there is none.
fn status(sent: &Sent) -> Result<u16, String> {
    match sent {
        Ok((response, _)) => Ok(response.status().as_u16()),
        Err(code) => Err(format!("{code:?}")),
    }
}

async fn send(
    client: Arc<Client>,
    target: Target,
    request: Request<WasiBody>,
    times: Times,
    log: Log,
) -> Sent {
    match client.clone().send(target.clone(), request, times).await {
        Ok(mut response) => {
            secrets::conceal(&client.secrets, response.headers_mut());
            Ok((response, Box::new(ready(Ok(())))))
        }
        Err(failure) => {
            let what = match &failure {
                Failure::NotPublic(refused) => {
                    denied::address(&client.owner, &client.reach, &target, *refused)
                }
                Failure::Own => denied::own(&target),
                other => format!("{target}: {other}"),
            };
            log.line(Level::Warn, &what);
            Err(failure.code())
        }
    }
}
