//! Why a request got no response.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio_rustls::rustls;
use wasmtime_wasi_http::Error as Code;

use super::body::REQUEST_BYTES;
use crate::address::NotPublic;

/// What went wrong, in words for whoever runs hookyard. A guest gets the code of it.
#[derive(Debug, Error)]
pub enum Failure {
    /// The name stands for no address.
    #[error("its name cannot be resolved: {0}")]
    Unresolved(io::Error),
    /// It stands for an address that may not be reached.
    #[error("{0}")]
    NotPublic(#[from] NotPublic),
    /// It is one of hookyard's own listeners.
    #[error("it is hookyard itself")]
    Own,
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Unreachable(io::Error),
    /// The other side is not whom its certificate should show, or speaks no TLS.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// The system has no certificates to know others by.
    #[error("the system has no certificate authorities: {0}")]
    NoRoots(String),
    /// Connecting took too long.
    #[error("not connected within {0:?}")]
    ConnectTime(Duration),
    /// The handler's other requests hold all connections, so many.
    #[error("all {0} connections of the handler are in use")]
    Connections(usize),
    /// There was no response in time.
    #[error("no response within {0:?}")]
    ResponseTime(Duration),
    /// The request is too large.
    #[error("the request's body has more than {REQUEST_BYTES} bytes")]
    TooLarge,
    /// The exchange broke off.
    #[error("{0}")]
    Http(hyper::Error),
    /// The thread that sends requests has ended.
    #[error("hookyard is ending")]
    Ending,
}

impl Failure {
    /// What a guest is told.
    pub fn code(&self) -> Code {
        match self {
            Self::Unresolved(_) => Code::DnsError { rcode: None, info_code: None },
            Self::NotPublic(_) | Self::Own => Code::DestinationIpProhibited,
            Self::Unreachable(_) => Code::ConnectionRefused,
            Self::Tls(error) => tls_code(error),
            Self::NoRoots(_) => Code::TlsCertificateError,
            Self::ConnectTime(_) => Code::ConnectionTimeout,
            Self::Connections(_) => Code::ConnectionLimitReached,
            Self::ResponseTime(_) => Code::HttpResponseTimeout,
            Self::TooLarge => Code::HttpRequestBodySize(Some(REQUEST_BYTES)),
            Self::Http(error) if error.is_incomplete_message() || error.is_canceled() => {
                Code::ConnectionTerminated
            }
            Self::Http(_) => Code::HttpProtocolError,
            Self::Ending => Code::ConnectionTerminated,
        }
    }
}

fn tls_code(error: &io::Error) -> Code {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => Code::TlsCertificateError,
        _ => Code::TlsProtocolError,
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        match error.source().and_then(|cause| cause.downcast_ref()) {
            Some(Code::HttpRequestBodySize(_)) => Self::TooLarge,
            _ => Self::Http(error),
        }
    }
}
