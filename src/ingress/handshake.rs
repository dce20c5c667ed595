//! Handshakes: answered as the provider prescribes, and never stored.

use hyper::body::{Body, Incoming};

use super::{Ended, Ingress};
use crate::clock::wall_ms;
use crate::handover::HandoverError;
use crate::server::body::{self, Held};
use crate::source::Source;
use crate::verify::handshake::{Handshake, UNSIGNED_BODY_BYTES};
use crate::verify::{Refusal, Request, Verified};

impl Ingress {
    /// Reads the body of a request that may be a handshake which nobody signs.
    pub(super) async fn small_body(&self, source: &Source, body: Incoming) -> Result<Held, Ended> {
        let promised = body.size_hint().exact();
        let limit = source.body_limit.min(UNSIGNED_BODY_BYTES);
        body::read(body, promised, limit, self.rate, &self.bodies).await.map_err(Ended::Body)
    }

    /// The end of a request that is a handshake; `None`: it is none. `secret` is which secret has
    /// verified it.
    pub(super) async fn welcome(
        &self,
        source: &Source,
        request: &Request,
        verified: Option<Option<usize>>,
    ) -> Option<Ended> {
        let handshake = source.handshakes.find(request, verified.is_some())?;
        let ended = self.answer_to(source, handshake, request, verified.flatten()).await;
        Some(ended.unwrap_or_else(|ended| ended))
    }

    async fn answer_to(
        &self,
        source: &Source,
        handshake: &Handshake,
        request: &Request,
        secret: Option<usize>,
    ) -> Result<Ended, Ended> {
        let now = wall_ms().cast_signed();
        let prove = |text: &[u8]| source.verifier.prove(text, secret, now);
        let welcome = handshake.answer(request, prove).map_err(Ended::Unfit)?;
        if let Some(given) = handshake.secret(request).map_err(Ended::Unfit)? {
            self.accept(source, request, given).await?;
        }
        Ok(Ended::Welcomed(welcome))
    }

    /// Keeps a secret that the provider hands over, and has it in force before the answer. While
    /// router.toml cannot be loaded it is only kept: the provider would not hand it over again.
    async fn accept(
        &self,
        source: &Source,
        request: &Request,
        secret: String,
    ) -> Result<(), Ended> {
        let (handovers, name) = (self.handovers.clone(), source.name.clone());
        let kept = tokio::task::spawn_blocking(move || handovers.accept(&name, &secret)).await;
        match kept {
            Ok(Ok(())) => {}
            Ok(Err(HandoverError::NotArmed | HandoverError::Exists)) => {
                return Err(self.refuse(source, Refusal::NotArmed, request.clone(), true));
            }
            Ok(Err(HandoverError::Io(cause))) => {
                tracing::error!(source = %source.name, %cause, "a secret cannot be kept");
                return Err(Ended::Unavailable);
            }
            Err(_) => return Err(Ended::Unavailable),
        }
        self.reload.ask().await.ok_or(Ended::Unavailable)?;
        let snapshot = self.current.load();
        if snapshot.source(&source.name).is_some_and(|now| !now.verifier.is_waiting()) {
            tracing::info!(source = %source.name, "a secret was handed over, and is in force");
        } else {
            tracing::error!(
                source = %source.name,
                "a secret was handed over and kept: it is in force when router.toml can be loaded again"
            );
        }
        Ok(())
    }

    /// Fetches the keys that the request needs.
    pub(super) async fn prepare(&self, source: &Source, request: &Request) -> Result<(), Ended> {
        let Some(keys) = &source.keys else { return Ok(()) };
        let prepared = keys.prepare(&source.verifier, request).await;
        prepared.map_err(|refusal| self.refuse(source, refusal, request.clone(), true))
    }

    /// Confirms a subscription that asks for it, where the operator wants that.
    pub(super) async fn confirm(&self, source: &Source, verified: &Verified) -> Result<(), Ended> {
        let (true, Some(keys)) = (source.confirm, &source.keys) else { return Ok(()) };
        let Some(want) = source.verifier.confirmation(verified) else { return Ok(()) };
        match keys.visit(&want).await {
            Ok(()) => {
                tracing::info!(source = %source.name, "a subscription is confirmed");
                Ok(())
            }
            Err(cause) => {
                tracing::warn!(source = %source.name, %cause, "a subscription cannot be confirmed");
                Err(Ended::Unavailable)
            }
        }
    }
}
