//! One handler's requests: sent on connections of its own.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use ipnet::IpNet;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use wasmtime_wasi_http::{RequestOptions, WasiBody};

use super::failure::Failure;
use super::outside::Outside;
use super::pool::{Connection, IDLE_TIME, Pool};
use super::reach::Reach;
use super::secrets::Placed;
use super::target::{Target, address, path};
use super::{body, denied};
use crate::dial::Names;

/// How long connecting may take: resolving, TCP and TLS.
const CONNECT_TIME: Duration = Duration::from_secs(5);

const DAY: Duration = Duration::from_secs(86_400);

/// How long an exchange of a handler's may take, from connecting to the last byte.
const TOTAL_TIME: Duration = Duration::from_secs(30);

/// Connections of one handler, those included that wait for a request.
pub const CONNECTIONS: usize = 64;

/// What one handler may reach, and how.
pub struct Client {
    /// The name of the handler, or of the route whose events are forwarded.
    pub owner: Arc<str>,
    /// What it may reach.
    pub reach: Reach,
    /// Its secrets.
    pub secrets: Vec<Placed>,
    pub(super) outside: Arc<Outside>,
    /// How it resolves names.
    pub(super) names: Names,
    pool: Pool,
    connections: Arc<Semaphore>,
}

/// What an exchange may take: what the guest asks for, up to what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    connect: Duration,
    first: Duration,
    between: Duration,
    total: Duration,
}

/// The body of a response.
pub type Received = WasiBody;

impl Times {
    /// The route's own `timeout` ends it.
    const FORWARD: Self = Self { connect: CONNECT_TIME, first: DAY, between: DAY, total: DAY };

    /// As a guest asks for them.
    pub fn asked(options: Option<RequestOptions>) -> Self {
        let asked = options.unwrap_or_default();
        let within =
            |asked: Option<Duration>, most: Duration| asked.map_or(most, |it| it.min(most));
        Self {
            connect: within(asked.connect_timeout, CONNECT_TIME),
            first: within(asked.first_byte_timeout, TOTAL_TIME),
            between: within(asked.between_bytes_timeout, TOTAL_TIME),
            total: TOTAL_TIME,
        }
    }
}

impl Client {
    /// For a handler with these grants and secrets.
    pub fn new(
        owner: Arc<str>,
        reach: Reach,
        secrets: Vec<Placed>,
        outside: Arc<Outside>,
    ) -> Arc<Self> {
        let (names, pool) = (outside.names(), Pool::default());
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        Arc::new(Self { owner, reach, secrets, outside, names, pool, connections })
    }

    /// For forwarding the events of that route, also to addresses in these ranges.
    pub fn forwarding(route: Arc<str>, private: Vec<IpNet>, outside: Arc<Outside>) -> Arc<Self> {
        Self::new(route, Reach { private, ..Reach::default() }, Vec::new(), outside)
    }

    /// Posts a body to where a route forwards it, under the key of its delivery, and gives the response as soon as its head is
    /// there.
    ///
    /// # Errors
    /// There is none, for this reason.
    pub async fn post(
        self: Arc<Self>,
        url: &Uri,
        headers: HeaderMap,
        key: &str,
        body: Bytes,
    ) -> Result<Response<Received>, String> {
        let Some(target) = Target::of(url) else { return Err(format!("{url} names no host")) };
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path(url);
        *request.headers_mut() = headers;
        address(request.headers_mut(), &target, key);
        self.clone().send(target.clone(), request, Times::FORWARD).await.map_err(|failure| {
            match failure {
                Failure::NotPublic(refused) => {
                    denied::forward(&self.owner, &self.reach, &target, refused)
                }
                Failure::Own => denied::own(&target),
                other => format!("{target}: {other}"),
            }
        })
    }

    /// Sends a request, on the thread for that, and gives the response as soon as its head is
    /// there. Nothing of it goes on once this is dropped.
    ///
    /// # Errors
    /// There is none.
    pub async fn send(
        self: Arc<Self>,
        target: Target,
        request: Request<WasiBody>,
        times: Times,
    ) -> Result<Response<WasiBody>, Failure> {
        let (mut tell, told) = oneshot::channel();
        let thread = self.outside.thread().clone();
        thread.spawn(async move {
            let sent = tokio::select! {
                () = tell.closed() => return,
                sent = self.exchange(target, request, times) => sent,
            };
            let _gone = tell.send(sent);
        });
        told.await.unwrap_or(Err(Failure::Ending))
    }

    async fn exchange(
        self: Arc<Self>,
        target: Target,
        request: Request<WasiBody>,
        times: Times,
    ) -> Result<Response<WasiBody>, Failure> {
        let until = Instant::now() + times.total;
        let (response, connection) = self.respond(&target, request, times, until).await?;
        self.keep(target, connection);
        Ok(response.map(|incoming| body::response(incoming, until, times.between)))
    }

    /// The head of a response, and the connection that its body is still to come from.
    async fn respond(
        &self,
        target: &Target,
        mut request: Request<WasiBody>,
        times: Times,
        until: Instant,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        loop {
            let waiting = self.pool.take(target);
            let was_waiting = waiting.is_some();
            let connected = match waiting {
                Some(connection) => Ok(connection),
                None => self.connect(target, times.connect).await,
            };
            let mut connection = match connected {
                Ok(connection) => connection,
                Err(failure) => {
                    drain(request.into_body());
                    return Err(failure);
                }
            };
            let by = until.min(Instant::now() + times.first);
            match timeout_at(by, connection.try_send_request(request)).await {
                Err(_elapsed) => return Err(Failure::ResponseTime(times.first)),
                Ok(Ok(response)) => return Ok((response, connection)),
                Ok(Err(mut error)) => match error.take_message() {
                    // The other side has closed it, and nothing was sent on it.
                    Some(unsent) if was_waiting => request = unsent,
                    _ => return Err(error.into_error().into()),
                },
            }
        }
    }

    async fn connect(&self, target: &Target, within: Duration) -> Result<Connection, Failure> {
        let place = timeout(within, self.connections.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(Failure::Connections(CONNECTIONS)) };
        self.dial(target, within, place).await
    }

    /// Resolves when a connection waits for the next request.
    #[cfg(test)]
    pub async fn rests(&self) {
        while !self.pool.is_waiting() {
            tokio::task::yield_now().await;
        }
    }

    /// Keeps a connection for the next request, once it has given the whole response.
    fn keep(self: &Arc<Self>, target: Target, mut connection: Connection) {
        let client = Arc::downgrade(self);
        tokio::spawn(async move {
            if connection.ready().await.is_ok()
                && let Some(kept) = client.upgrade()
                && kept.pool.put(target, connection)
            {
                drop(kept);
                sweep(client).await;
            }
        });
    }
}

/// Closes connections that have waited too long, until there is none.
async fn sweep(client: Weak<Client>) {
    loop {
        sleep(IDLE_TIME).await;
        if !client.upgrade().is_some_and(|client| client.pool.sweep()) {
            return;
        }
    }
}

/// Takes what a guest still writes of a request that comes to nothing. Otherwise it would learn
/// that its body goes nowhere, and not why.
pub fn drain(mut body: WasiBody) {
    tokio::spawn(async move { while let Some(Ok(_frame)) = body.frame().await {} });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_gets_no_more_time_than_there_is() {
        let asked = |time: Option<Duration>| {
            Times::asked(Some(RequestOptions {
                connect_timeout: time,
                first_byte_timeout: time,
                between_bytes_timeout: time,
            }))
        };
        let times =
            |connect, most| Times { connect, first: most, between: most, total: TOTAL_TIME };
        let most = times(CONNECT_TIME, TOTAL_TIME);
        assert_eq!(Times::asked(None), most);
        assert_eq!(asked(None), most);
        assert_eq!(asked(Some(Duration::MAX)), most);
        assert_eq!(asked(Some(TOTAL_TIME)), most);
        assert_eq!(asked(Some(Duration::ZERO)), times(Duration::ZERO, Duration::ZERO));
        let little = Duration::from_millis(1);
        assert_eq!(asked(Some(little)), times(little, little));
    }
}
