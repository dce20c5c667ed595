//! What the contract promises for a later release. It is known by name and refused, since a setting
//! without an effect would be worse than an error.

/// Keys of `[sources.*]`.
pub(super) const SOURCE: &[&str] = &[];

/// Keys of `[[routes]]`.
pub(super) const ROUTE: &[&str] = &[FORWARD];

/// The key of `[[routes]]` that will stand instead of `handler`.
pub(super) const FORWARD: &str = "forward";
