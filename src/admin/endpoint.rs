//! The paths of the admin side.

use http::Method;

use super::{handover, openapi, questions, reload, replay, routes, sources};

/// What a path is for.
pub(super) enum Endpoint<'a> {
    Health,
    Ready,
    Metrics,
    OpenApi,
    Handlers,
    Routes,
    Sources,
    /// The requests that a source refused.
    Refused(&'a str),
    /// Something that is asked about events.
    Question,
    Reload,
    Replay,
    /// A route is to be paused, or to go on.
    Pause(String, bool),
    HandOver(handover::Ask<'a>),
}

impl<'a> Endpoint<'a> {
    /// `None`: there is nothing at that path.
    pub fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            openapi::OPENAPI => Self::OpenApi,
            "/api/v1/handlers" => Self::Handlers,
            routes::ROUTES => Self::Routes,
            sources::SOURCES => Self::Sources,
            reload::RELOAD => Self::Reload,
            replay::REPLAY => Self::Replay,
            _ => return Self::below(path),
        })
    }

    fn below(path: &'a str) -> Option<Self> {
        let refused = sources::refused(path).map(Self::Refused);
        refused
            .or_else(|| routes::asked(path).map(|(route, paused)| Self::Pause(route, paused)))
            .or_else(|| handover::Ask::of(path).map(Self::HandOver))
            .or_else(|| questions::knows(path).then_some(Self::Question))
    }

    /// Whether it is told something, and not asked.
    fn is_told(&self) -> bool {
        matches!(self, Self::Reload | Self::Replay | Self::Pause(..) | Self::HandOver(_))
    }

    /// Whether it takes requests of that method.
    pub fn takes(&self, method: &Method) -> bool {
        match self.is_told() {
            true => *method == Method::POST,
            false => matches!(*method, Method::GET | Method::HEAD),
        }
    }

    /// The methods that it takes, as `Allow` names them.
    pub fn methods(&self) -> &'static str {
        if self.is_told() { "POST" } else { "GET, HEAD" }
    }
}
