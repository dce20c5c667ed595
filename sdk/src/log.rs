//! Lines in the handler's log. They appear in hookyard's own log under the event's id, and are
//! kept with the attempt.

use crate::bindings::wasi::logging::logging::{Level, log};

/// The values of variables and the flow of control.
pub fn trace(message: impl ToString) {
    write(Level::Trace, message);
}

/// Of interest to someone who debugs the handler.
pub fn debug(message: impl ToString) {
    write(Level::Debug, message);
}

/// Of interest to someone who watches what happens.
pub fn info(message: impl ToString) {
    write(Level::Info, message);
}

/// Something may go wrong.
pub fn warn(message: impl ToString) {
    write(Level::Warn, message);
}

/// Something went wrong.
pub fn error(message: impl ToString) {
    write(Level::Error, message);
}

fn write(level: Level, message: impl ToString) {
    let message = message.to_string();
    if cfg!(target_family = "wasm") {
        log(level, "", &message);
    } else {
        eprintln!("{level:?}: {message}");
    }
}
