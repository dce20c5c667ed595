//! `wasi:http/incoming-handler` components: the event is the request, the response is the outcome.

mod request;
mod response;

use std::pin::pin;
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use http::Response;
use tokio::sync::oneshot;
use wasmtime::component::{Component, InstancePre, Resource, types::ComponentItem};
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};

pub use self::request::{add_facts, fields};
pub use self::response::retry_after;
use self::response::{Fault, whole};
use super::attempt::Call;
use super::host::Host;
use super::{LoadError, link};
use crate::delivery::Outcome;

/// The interface that such a component exports; any 0.2 is found by this name.
const EXPORT: &str = "wasi:http/incoming-handler@0.2.0";

/// A component, ready to be called.
pub struct Http(ProxyPre<Host>);

impl Http {
    /// Links a component.
    ///
    /// # Errors
    /// It imports what there is not, or exports a handler of other types.
    pub fn link(engine: &Engine, component: &Component) -> Result<Self, LoadError> {
        let linked = link::component(engine, component)?;
        let pre = check_types(&linked)
            .and_then(|()| ProxyPre::new(linked))
            .map_err(|error| LoadError::WrongServer(format!("{error:#}")))?;
        Ok(Self(pre))
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn instantiate(&self, store: &mut Store<Host>) -> wasmtime::Result<Proxy> {
        let server = self.0.instantiate_async(&mut *store).await?;
        store.data().is_instantiated();
        Ok(server)
    }

    /// Calls a fresh instance. What it does once the response is there belongs to the attempt: it
    /// may still break, or take too long.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn run(&self, store: &mut Store<Host>, call: Call<'_>) -> wasmtime::Result<Outcome> {
        let server = self.instantiate(store).await?;
        let (respond, response) = oneshot::channel();
        let most = store.data().reply_bytes;
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request::of(call))?;
        let out = http.new_response_outparam(respond)?;
        let guest = server.wasi_http_incoming_handler().call_handle(store, request, out);
        let (mut guest, mut answer) = (pin!(guest), pin!(received(response, most)));
        let answer = match select(guest.as_mut(), answer.as_mut()).await {
            // What is not there when the guest is gone never comes.
            Either::Left((ended, answer)) => {
                ended?;
                answer.now_or_never().unwrap_or(Err(Fault::Unfinished))
            }
            Either::Right((Err(Fault::TooLarge(limit)), _)) => Err(Fault::TooLarge(limit)),
            Either::Right((answer, guest)) => {
                guest.await?;
                answer
            }
        };
        Ok(match answer {
            Ok(answer) => response::outcome(answer, call.waits, SystemTime::now()),
            Err(fault) => fault.into(),
        })
    }
}

/// The whole response that a guest sets. It takes no turns with others: what is there is taken.
async fn received<B>(
    response: oneshot::Receiver<Result<Response<B>, ErrorCode>>,
    most: usize,
) -> Result<Response<Vec<u8>>, Fault>
where
    B: hyper::body::Body<Data = bytes::Bytes> + Unpin,
{
    tokio::task::unconstrained(async move {
        match response.await {
            Ok(Ok(response)) => whole(response, most).await,
            Ok(Err(code)) => Err(Fault::Error(format!("{code:?}"))),
            Err(_dropped) => Err(Fault::Missing),
        }
    })
    .await
}

/// Checks the exported function's types. The generated code looks for its name alone, and would
/// find other types at the first call.
fn check_types(linked: &InstancePre<Host>) -> wasmtime::Result<()> {
    let component = linked.component();
    let server = component.get_export_index(None, EXPORT);
    match component.get_export(server.as_ref(), "handle") {
        Some((ComponentItem::ComponentFunc(handle), _)) => {
            handle.typecheck::<(Resource<HostIncomingRequest>, Resource<HostResponseOutparam>), ()>(
                &linked.instance_type(),
            )
        }
        _ => wasmtime::bail!("it has no function `handle`"),
    }
}
