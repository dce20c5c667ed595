//! Timestamps: read strictly, and refused when too far from now.

use super::spec::{TimeFormat, TimestampAt, TimestampSpec};
use crate::clock;
use crate::text::{head, printable};
use crate::verify::place::{Facts, Place};
use crate::verify::trace::{self, Step, away};
use crate::verify::{Refusal, SpecError};
use std::time::{Duration, UNIX_EPOCH};

/// Bytes of a timestamp that are shown to people.
const SHOWN: usize = 40;

/// Where the timestamp is, and the check on it.
#[derive(Debug)]
pub(super) struct Timestamp {
    pub place: Place,
    format: TimeFormat,
    tolerance_ms: Option<u64>,
}

impl Timestamp {
    pub fn new(spec: &TimestampSpec, has_fields: bool) -> Result<Self, SpecError> {
        let place = match &spec.at {
            TimestampAt::Header(name) => Place::header("timestamp.header", name)?,
            TimestampAt::Body(pointer) => Place::body("timestamp.body", pointer)?,
            TimestampAt::Field(key) if has_fields => Place::field("timestamp.field", key)?,
            TimestampAt::Field(_) => {
                return Err(SpecError::new("timestamp.field", "needs `signature.parse = \"kv\"`"));
            }
        };
        if spec.tolerance == Some(0) {
            return Err(SpecError::new("timestamp.tolerance", "must be at least one second"));
        }
        let tolerance_ms = spec.tolerance.map(|seconds| seconds.saturating_mul(1000));
        Ok(Self { place, format: spec.format, tolerance_ms })
    }

    /// Reads it as far as its age matters: milliseconds since 1970.
    pub fn read(&self, facts: &Facts<'_>) -> Result<Option<i64>, Refusal> {
        if self.tolerance_ms.is_none() {
            return Ok(None);
        }
        let text = facts.need(&self.place)?;
        self.format.parse(&text).map(Some).ok_or(Refusal::MalformedTimestamp)
    }

    /// Refuses what was signed too long before or after now.
    pub fn check(&self, facts: &Facts<'_>, now_unix_ms: i64) -> Result<(), Refusal> {
        let verdict = self.judge(facts, now_unix_ms);
        trace::tell(|| self.step(facts, now_unix_ms, verdict.is_ok()));
        verdict
    }

    fn step(&self, facts: &Facts<'_>, now_unix_ms: i64, passed: bool) -> Step {
        let format = self.format.name();
        let expected = match self.tolerance_ms {
            Some(tolerance) => format!(
                "{format}, within {} s of {}",
                tolerance / 1000,
                clock::rfc3339(now_unix_ms.cast_unsigned())
            ),
            None => "any".to_owned(),
        };
        let found = match facts.find(&self.place) {
            Ok(Some(text)) => {
                let shown = format!("`{}`", printable(head(&text, SHOWN)));
                match self.format.parse(&text) {
                    Some(at) => format!("{shown}, {}", away(at, now_unix_ms)),
                    None => format!("{shown}, which is not {format}"),
                }
            }
            Ok(None) => "nothing".to_owned(),
            Err(_) => "unreadable".to_owned(),
        };
        Step::new(format!("time in {}", self.place), expected, found, passed)
    }

    fn judge(&self, facts: &Facts<'_>, now_unix_ms: i64) -> Result<(), Refusal> {
        match (self.read(facts)?, self.tolerance_ms) {
            (Some(at), Some(tolerance)) if now_unix_ms.abs_diff(at) > tolerance => {
                Err(Refusal::Stale)
            }
            _ => Ok(()),
        }
    }

    /// The time as this scheme's sender writes it.
    pub fn write(&self, now_unix_ms: i64) -> String {
        self.format.write(now_unix_ms)
    }
}

impl TimeFormat {
    /// Milliseconds since 1970.
    fn parse(self, text: &str) -> Option<i64> {
        match self {
            Self::Unix => digits(text)?.checked_mul(1000),
            Self::UnixMs => digits(text),
            Self::Rfc3339 => rfc3339(text),
            Self::HttpDate => {
                let since =
                    httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
                i64::try_from(since.as_millis()).ok()
            }
        }
    }

    /// The text for a time in milliseconds since 1970.
    fn write(self, unix_ms: i64) -> String {
        let ms = u64::try_from(unix_ms).unwrap_or(0);
        match self {
            Self::Unix => (ms / 1000).to_string(),
            Self::UnixMs => ms.to_string(),
            Self::Rfc3339 => clock::rfc3339(ms),
            Self::HttpDate => httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(ms)),
        }
    }
}

/// `parse` alone would take `+5`.
fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The parser alone would take more than RFC 3339 has, and turn second 60 into 59.
fn rfc3339(text: &str) -> Option<i64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let zoned = zone == "Z" || has_shape(zone, "+00:00") || has_shape(zone, "-00:00");
    if !has_shape(date_time, "0000-00-00T00:00:00") || !zoned || date_time.ends_with(":60") {
        return None;
    }
    text.parse().ok().map(jiff::Timestamp::as_millisecond)
}

/// Whether `text` is `shape` with any digits for its zeros.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits =
        |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(format: TimeFormat, texts: &[&str]) {
        for text in texts {
            assert_eq!(format.parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn unix_seconds_are_digits_only() {
        assert_eq!(TimeFormat::Unix.parse("1614265330"), Some(1_614_265_330_000));
        assert_eq!(TimeFormat::Unix.parse("0"), Some(0));
        refuses(
            TimeFormat::Unix,
            &[
                "",
                "+5",
                "-5",
                " 5",
                "5 ",
                "5.0",
                "1e9",
                "Infinity",
                "0x5",
                "٥",
                "9223372036854775807",
                "99999999999999999999",
            ],
        );
    }

    #[test]
    fn unix_milliseconds_are_never_taken_for_seconds() {
        assert_eq!(TimeFormat::UnixMs.parse("1683650202360"), Some(1_683_650_202_360));
        refuses(TimeFormat::UnixMs, &["", "+5", "9223372036854775808"]);
    }

    #[test]
    fn rfc3339_with_nanoseconds_and_offsets() {
        let parse = |text| TimeFormat::Rfc3339.parse(text);
        assert_eq!(parse("2020-01-01T00:00:00-07:00"), Some(1_577_862_000_000));
        assert_eq!(parse("2019-11-16T10:11:12.634234626Z"), Some(1_573_899_072_634));
        refuses(
            TimeFormat::Rfc3339,
            &[
                "",
                "2020-01-01",
                "2020-01-01T00:00:00",
                "2020-01-01 00:00:00Z",
                "2020-01-01T00:00:60Z",
                "20200101T000000Z",
                "2020-13-01T00:00:00Z",
                "2020-01-01T00:00:00.Z",
                "2020-01-01T00:00:00Z[UTC]",
                "2020-01-01T00:00:00-0700",
                "+2020-01-01T00:00:00Z",
                " 2020-01-01T00:00:00Z",
                "2020-01-01T00:00:00.1234567891Z",
                "2020-01-01T00:00:0é0",
            ],
        );
    }

    #[test]
    fn what_is_written_can_be_read() {
        for name in TimeFormat::NAMES {
            let format = TimeFormat::from_name(name).unwrap();
            let text = format.write(1_700_000_000_000);
            assert_eq!(format.parse(&text), Some(1_700_000_000_000), "{name}: {text}");
        }
    }

    #[test]
    fn http_dates() {
        assert_eq!(
            TimeFormat::HttpDate.parse("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777_000)
        );
        refuses(
            TimeFormat::HttpDate,
            &["", "Thu 07 Sep 2017 06:30:04 UTC", "Sun, 06 Nov 1994 08:49:60 GMT"],
        );
    }

    #[test]
    fn fuzzed_times_are_read_as_they_are_written() {
        crate::fuzz::fuzz("time", |input| {
            let text = &String::from_utf8_lossy(input);
            for name in TimeFormat::NAMES {
                let format = TimeFormat::from_name(name).unwrap();
                let Some(at) = format.parse(text).filter(|at| *at >= 0) else { continue };
                assert_eq!(format.parse(&format.write(at)), Some(at), "{name}");
            }
        });
    }
}
