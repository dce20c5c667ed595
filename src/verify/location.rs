//! Where a source's requests carry their event type and their id.

use crate::pointer::Pointer;
use http::HeaderName;

/// One place in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Header(HeaderName),
    Pointer(Pointer),
    /// What stands at all of these, with dots between: `issue.opened`.
    Joined(Vec<Location>),
}

/// What makes two requests the same event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventId {
    /// Nothing does: each request is an event of its own.
    None,
    /// The first of these places that the request has.
    At(Vec<Location>),
    /// The whole body.
    Body,
}
