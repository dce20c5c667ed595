//! From a request to a verified one: everything that may refuse it, the cheap before the dear.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use hyper::body::{Body, Incoming};

use super::{Ended, Ingress};
use crate::clock::wall_ms;
use crate::refused::Refusing;
use crate::server::Reservation;
use crate::server::body::{self, BodyError};
use crate::source::Source;
use crate::verify::{self, Verified};

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
    /// Reads and verifies a request.
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
        let admitted = source.admit(peer);
        let by_its_head =
            admitted.and_then(|()| source.verifier.precheck(&request.headers, &request.target));
        if let Err(refusal) = by_its_head {
            return Err(
                self.refuse(source, Refusing { refusal, request, at: wall_ms(), has_body: false })
            );
        }
        let promised = body.size_hint().exact();
        let suspect = self.peers.suspect(peer, Instant::now());
        let limit = suspect.map_or(source.body_limit, |_| source.body_limit.min(SUSPECT_BODY));
        let held = body::read(body, promised, limit, self.rate, &self.bodies).await;
        let held = held.map_err(|error| match (error, suspect) {
            (BodyError::TooLarge, Some(wait)) => Ended::Shunned(wait),
            _ => Ended::Body(error),
        })?;
        let (complete, at) = (Instant::now(), wall_ms());
        request.body = held.bytes;
        let verified = source.verifier.prove(request, at.cast_signed());
        let verified = verified.map_err(|(refusal, request)| {
            self.refuse(source, Refusing { refusal, request, at, has_body: true })
        })?;
        if verified.is_proven() {
            self.peers.vouch(peer, complete);
        }
        self.count_secret(source, &verified);
        source.within_rate(complete).map_err(Ended::Limited)?;
        Ok(Proven { verified, complete, received_at: at, reservation: held.reservation })
    }

    /// Counts a refusal, and keeps it to be explained; where there were too many, does no more.
    fn refuse(&self, source: &Source, refusing: Refusing) -> Ended {
        let peer = refusing.request.peer;
        if let Err(wait) = self.peers.refuse(peer, Instant::now()) {
            return Ended::Shunned(wait);
        }
        let refusal = &refusing.refusal;
        self.metrics.refusals.with_label_values(&[&*source.name, refusal.cause()]).inc();
        source.tell_refusal(refusal, peer);
        self.refused.keep(&source.name, refusing);
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
