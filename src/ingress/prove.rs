//! From a request to a verified one: everything that may refuse it, the cheap before the dear.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request};
use hyper::body::{Body, Incoming};

use super::{Ended, Ingress};
use crate::clock::wall_ms;
use crate::refused::Refusing;
use crate::server::Reservation;
use crate::server::body::{self, BodyError, Held};
use crate::source::Source;
use crate::verify::{self, Refusal, Verified};

/// Bytes of a body at the most whose sender was refused too often, and never verified.
const SUSPECT_BODY: usize = 64 * 1024;

/// A verified request.
pub(super) struct Proven {
    pub verified: Verified,
    /// When its last byte had come in.
    pub complete: Instant,
    /// The same, in milliseconds since 1970.
    pub received_at: u64,
    /// The memory of its body.
    pub reservation: Reservation,
}

impl Ingress {
    /// Reads and verifies a request; a handshake ends here.
    pub(super) async fn prove(
        &self,
        source: &Source,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Proven, Ended> {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let (method, headers) = (head.method, head.headers);
        let mut request = verify::Request { method, target, headers, body: Bytes::new(), peer };
        let held = self.read(source, &request, body).await?;
        let (complete, received_at) = (Instant::now(), wall_ms());
        request.body = held.bytes;
        if let Some(ended) = self.welcome(source, &request, None).await {
            return Err(ended);
        }
        self.prepare(source, &request).await?;
        let verified = source.verifier.examine(request, received_at.cast_signed());
        let verified =
            verified.map_err(|(refusal, request)| self.refuse(source, refusal, request, true))?;
        if verified.is_proven() {
            self.peers.vouch(peer, complete);
        }
        self.count_secret(source, &verified);
        let secret = Some(verified.secret_index());
        if let Some(ended) = self.welcome(source, verified.request(), secret).await {
            return Err(ended);
        }
        if verified.request().method != Method::POST {
            return Err(Ended::WrongMethod);
        }
        self.confirm(source, &verified).await?;
        source.within_rate(complete).map_err(Ended::Limited)?;
        Ok(Proven { verified, complete, received_at, reservation: held.reservation })
    }

    /// Reads the body of a request that its head does not give away.
    async fn read(
        &self,
        source: &Source,
        request: &verify::Request,
        body: Incoming,
    ) -> Result<Held, Ended> {
        let verify::Request { method, headers, target, peer, .. } = request;
        let refuse = |refusal| self.refuse(source, refusal, request.clone(), false);
        source.admit(*peer).map_err(refuse)?;
        match source.verifier.precheck(headers, target) {
            Err(_) if source.handshakes.may_be_unsigned(method, headers, target) => {
                self.small_body(source, body).await
            }
            Err(refusal) => Err(refuse(refusal)),
            Ok(()) => self.body(source, body, *peer).await,
        }
    }

    /// Reads a body, of which little is taken from who was refused too often.
    async fn body(&self, source: &Source, body: Incoming, peer: IpAddr) -> Result<Held, Ended> {
        let promised = body.size_hint().exact();
        let suspect = self.peers.suspect(peer, Instant::now());
        let limit = suspect.map_or(source.body_limit, |_| source.body_limit.min(SUSPECT_BODY));
        let held = body::read(body, promised, limit, self.rate, &self.bodies).await;
        held.map_err(|error| match (error, suspect) {
            (BodyError::TooLarge, Some(wait)) => Ended::Shunned(wait),
            _ => Ended::Body(error),
        })
    }

    /// The end of a request that is not believed. Its refusal is counted, told, and kept to be
    /// explained; where there were too many, no more than counted. Where a key cannot be fetched,
    /// there is no word on the request, and it may come again.
    pub(super) fn refuse(
        &self,
        source: &Source,
        refusal: Refusal,
        request: verify::Request,
        has_body: bool,
    ) -> Ended {
        if refusal == Refusal::KeyUnavailable {
            return Ended::Unavailable;
        }
        if let Err(wait) = self.peers.refuse(request.peer, Instant::now()) {
            return Ended::Shunned(wait);
        }
        self.metrics.refusals.with_label_values(&[&*source.name, refusal.cause()]).inc();
        source.tell_refusal(&refusal, request.peer);
        self.refused.keep(&source.name, Refusing { refusal, request, at: wall_ms(), has_body });
        Ended::Refused
    }

    /// Counts which secret matched: after a rotation it shows when the old one is out of use.
    fn count_secret(&self, source: &Source, verified: &Verified) {
        let Some(index) = verified.secret_index() else { return };
        let labels = [&*source.name, &index.to_string()];
        self.metrics.secret_matches.with_label_values(&labels).inc();
        tracing::debug!(source = %source.name, secret = index, "a request is verified");
    }
}
