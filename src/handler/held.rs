//! What the host keeps in memory for a guest: the headers, requests and bodies behind its handles.

use std::any::Any;

use http::HeaderMap;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::bindings::http::types::Method;
use wasmtime_wasi_http::p2::body::{HostIncomingBody, HostOutgoingBody};
use wasmtime_wasi_http::p2::types::{
    HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};

use super::limits::HOST_CALL_BYTES;

/// Bytes that the host keeps for an attempt behind the handles of `wasi:http`. One call more may
/// add what one call may bring.
pub const HELD_BYTES: usize = 64 << 20;

/// Bytes that a header field takes beside its text.
const FIELD_BYTES: usize = 256;

/// Bytes that may wait in a body, with its trailers.
const BODY_BYTES: usize = 192 << 10;

/// Watches what is in an attempt's table. It is counted as seldom as calls allow that each bring
/// as much as a call may.
pub struct Held {
    /// Bytes that may come before it is counted again.
    left: usize,
    /// Whether there was too much, and what is then given to the guest's calls: nothing.
    refused: bool,
    nothing: ResourceTable,
}

impl Held {
    /// Nothing is held.
    pub fn new() -> Self {
        let mut nothing = ResourceTable::new();
        nothing.set_max_capacity(0);
        Self { left: HELD_BYTES, refused: false, nothing }
    }

    /// The table for a guest's next call; one in which nothing is and fits, so that the call fails,
    /// when there is too much in it.
    pub fn table<'a>(&'a mut self, table: &'a mut ResourceTable) -> &'a mut ResourceTable {
        if self.left < HOST_CALL_BYTES {
            let held = table.iter_mut().map(weight).sum();
            self.refused |= held > HELD_BYTES;
            self.left = HELD_BYTES.saturating_sub(held).max(HOST_CALL_BYTES);
        }
        self.left -= HOST_CALL_BYTES;
        if self.refused { &mut self.nothing } else { table }
    }

    /// What was refused, in words, if anything was.
    pub fn refused(&self) -> Option<String> {
        self.refused.then(|| format!("host memory: the limit is {HELD_BYTES} bytes"))
    }
}

/// The bytes behind a handle; 0 where there are few, since handles are counted too.
fn weight(entry: &mut (dyn Any + Send)) -> usize {
    let body = |is_some: bool| if is_some { BODY_BYTES } else { 0 };
    if let Some(map) = entry.downcast_ref::<FieldMap>() {
        fields(map)
    } else if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let method = if let Method::Other(name) = &request.method { name.len() } else { 0 };
        let head = method + text(&request.authority) + text(&request.path_with_query);
        head + fields(&request.headers) + body(request.body.is_some())
    } else if let Some(response) = entry.downcast_ref::<HostOutgoingResponse>() {
        fields(&response.headers) + body(response.body.is_some())
    } else if let Some(response) = entry.downcast_ref::<HostIncomingResponse>() {
        fields(&response.headers) + body(response.body.is_some())
    } else {
        body(entry.is::<HostOutgoingBody>() || entry.is::<HostIncomingBody>())
    }
}

fn fields(map: &HeaderMap) -> usize {
    let bytes = map.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(authority: usize, headers: FieldMap) -> HostOutgoingRequest {
        HostOutgoingRequest {
            method: Method::Get,
            scheme: None,
            authority: Some("x".repeat(authority)),
            path_with_query: None,
            headers,
            body: None,
        }
    }

    /// Whether a guest may go on calling when these are held.
    fn goes_on(held: Vec<HostOutgoingRequest>) -> bool {
        let (mut holder, mut table) = (Held::new(), ResourceTable::new());
        for request in held {
            table.push(request).unwrap();
        }
        let calls = 2 * HELD_BYTES / HOST_CALL_BYTES;
        let went_on = (0..calls).all(|_| holder.table(&mut table).push(()).is_ok());
        assert_eq!(holder.refused().is_none(), went_on);
        went_on
    }

    #[test]
    fn what_is_held_counts_together_up_to_the_last_byte() {
        let none = FieldMap::default;
        let half = || request(HELD_BYTES / 2, none());
        assert!(goes_on(vec![half(), half()]));
        assert!(!goes_on(vec![half(), half(), request(1, none())]));
        let mut map = FieldMap::new_mutable(1_000);
        map.append_raw("x-a".parse().unwrap(), "b".parse().unwrap()).unwrap();
        let field = "x-ab".len() + FIELD_BYTES;
        assert!(goes_on(vec![request(HELD_BYTES - field, map.clone())]));
        assert!(!goes_on(vec![request(HELD_BYTES - field + 1, map)]));
    }

    #[test]
    fn what_was_let_go_does_not_count() {
        let (mut holder, mut table) = (Held::new(), ResourceTable::new());
        for _ in 0..4 * HELD_BYTES / HOST_CALL_BYTES {
            let held = holder.table(&mut table);
            let one = held.push(request(HOST_CALL_BYTES, FieldMap::default())).unwrap();
            held.delete(one).unwrap();
        }
        assert_eq!(holder.refused(), None);
    }

    #[test]
    fn once_there_was_too_much_no_call_is_made_any_more() {
        let (mut holder, mut table) = (Held::new(), ResourceTable::new());
        while holder.refused().is_none() {
            let _refused =
                holder.table(&mut table).push(request(HOST_CALL_BYTES, FieldMap::default()));
        }
        let held: usize = table.iter_mut().map(weight).sum();
        assert_eq!(held, HELD_BYTES + HOST_CALL_BYTES);
        assert!(holder.table(&mut table).push(()).is_err());
    }
}
