//! The tables that say what a sender is answered.

use http::StatusCode;

use crate::source::Reply;

use super::item::Item;
use super::section::Section;
use super::setting::Setting;

/// A sender takes anything else for a failure.
const STATUS: Setting<u32> = Setting::new("status", 200, 200, 299);

pub(super) fn read(reply: &mut Section<'_>) -> Option<Reply> {
    let status = u16::try_from(reply.count(&STATUS)).ok()?;
    Some(Reply {
        status: StatusCode::from_u16(status).ok()?,
        body: reply.optional("body", Item::text).unwrap_or_default().to_owned().into(),
    })
}
