//! Durations, sizes and rates as `router.toml` writes them.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::quota::Quota;

/// Units of time, in milliseconds.
const TIME: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of size, in bytes.
const SIZE: &[(&str, u64)] =
    &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// What a rate ends in.
const PER_SECOND: &str = "/s";

/// What a quota may be counted by, in seconds.
const PER: &[(&str, u64)] = &[("s", 1), ("m", 60), ("h", 3_600)];

/// More than this in a second is no limit.
const MOST: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

/// Why a text is no quantity.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("it does not begin with a whole number")]
    NoWholeNumber,
    #[error("it has no unit")]
    NoUnit,
    #[error("`{0}` is not a unit")]
    UnknownUnit(String),
    #[error("it does not end in `/s`")]
    NotPerSecond,
    #[error("it does not end in `/s`, `/m` or `/h`")]
    NotPerTime,
    #[error("it would let nothing through")]
    Nothing,
    #[error("it is too large")]
    TooLarge,
}

/// `"250ms"`, `"5s"`, `"2m"`, `"1h"`, `"7d"`.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    quantity(text, TIME).map(Duration::from_millis)
}

/// `"512B"`, `"64KiB"`, `"25MiB"`, in bytes.
pub(super) fn size(text: &str) -> Result<u64, UnitError> {
    quantity(text, SIZE)
}

/// `"4KiB/s"`, in bytes a second.
pub(super) fn rate(text: &str) -> Result<u64, UnitError> {
    let amount = text.strip_suffix(PER_SECOND);
    quantity(amount.ok_or(UnitError::NotPerSecond)?, SIZE)
}

/// `"200/s"`, `"1000/m"`, `"50/h"`.
pub(super) fn quota(text: &str) -> Result<Quota, UnitError> {
    let (amount, unit) = text.split_once('/').ok_or(UnitError::NotPerTime)?;
    let per = PER.iter().find(|(name, _)| *name == unit).ok_or(UnitError::NotPerTime)?.1;
    if amount.is_empty() || !amount.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UnitError::NoWholeNumber);
    }
    let amount: u32 = amount.parse().map_err(|_| UnitError::TooLarge)?;
    let amount = NonZeroU32::new(amount).ok_or(UnitError::Nothing)?;
    if amount > MOST {
        return Err(UnitError::TooLarge);
    }
    Ok(Quota { amount, per: Duration::from_secs(per) })
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || unit.starts_with(['.', ',']) {
        return Err(UnitError::NoWholeNumber);
    }
    if unit.is_empty() {
        return Err(UnitError::NoUnit);
    }
    let (_, factor) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| UnitError::UnknownUnit(unit.to_owned()))?;
    // Only digits are left, so that the one thing that can fail is the size.
    let number: u64 = number.parse().map_err(|_| UnitError::TooLarge)?;
    number.checked_mul(*factor).ok_or(UnitError::TooLarge)
}

/// A duration as `router.toml` would write it.
pub(super) struct ShowDuration(pub Duration);

impl fmt::Display for ShowDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        show(f, millis, TIME)
    }
}

/// A number of bytes as `router.toml` would write it.
pub(super) struct ShowSize(pub u64);

impl fmt::Display for ShowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, SIZE)
    }
}

/// In the largest unit that needs no fraction.
fn show(f: &mut fmt::Formatter<'_>, amount: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fitting =
        units.iter().rev().find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    match fitting {
        Some((unit, factor)) => write!(f, "{}{unit}", amount / factor),
        None => write!(f, "0{}", units.first().map_or("", |(unit, _)| unit)),
    }
}

#[cfg(test)]
mod tests;
