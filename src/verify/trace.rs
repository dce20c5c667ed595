//! What a verification looked at, step by step, for people. It is the verification itself that
//! tells: where nobody asks, each step costs one look at a flag of the thread.

use std::cell::RefCell;

use serde::Serialize;

thread_local! {
    static STEPS: RefCell<Option<Vec<Step>>> = const { RefCell::new(None) };
}

/// How many letters of a signature are shown, its label apart.
const GLIMPSE: usize = 4;
/// The longest label of a signature: `sha256=`, `v1a,`.
const LABEL: usize = 12;

/// One thing that was looked at. It never holds a secret or a whole signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was looked at.
    pub check: String,
    /// What is allowed.
    pub expected: String,
    /// What there is.
    pub found: String,
    /// Whether that is well.
    pub passed: bool,
}

impl Step {
    /// A step.
    pub fn new(
        check: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        passed: bool,
    ) -> Self {
        let (check, expected, found) = (check.into(), expected.into(), found.into());
        Self { check, expected, found, passed }
    }
}

/// Does the work, and gives the steps of the verifications in it.
pub(super) fn record<T>(work: impl FnOnce() -> T) -> (T, Vec<Step>) {
    STEPS.set(Some(Vec::new()));
    let done = work();
    (done, STEPS.take().unwrap_or_default())
}

/// Tells a step, if somebody asks.
pub(super) fn tell(step: impl FnOnce() -> Step) {
    STEPS.with_borrow_mut(|steps| {
        if let Some(steps) = steps {
            steps.push(step());
        }
    });
}

/// As much of a signature as says what it looks like, and is of no use to anybody.
pub(super) fn glimpse(text: &str) -> String {
    let label = text.find(['=', ',']).map_or(0, |at| at + 1);
    let start = if label <= LABEL && label < text.len() { label } else { 0 };
    let letters = text.chars().count();
    if letters <= start + 2 * GLIMPSE {
        return format!("{letters} characters");
    }
    let head: String = text.chars().take(start + GLIMPSE).collect();
    format!("`{}…`, {letters} characters", crate::text::printable(&head))
}

/// How far a time is from another, as people say it.
pub(super) fn away(at: i64, now: i64) -> String {
    let seconds = now.abs_diff(at) / 1000;
    let (amount, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{amount} {unit} {}", if at <= now { "ago" } else { "ahead" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_kept_only_while_somebody_asks() {
        let step = || Step::new("a", "b", "c", true);
        tell(|| panic!("nobody asks"));
        let ((), steps) = record(|| tell(step));
        assert_eq!(steps, [step()]);
        tell(|| panic!("nobody asks any more"));
    }

    #[test]
    fn a_distance_in_time_is_in_words() {
        for (at, words) in [
            (0, "0 s ago"),
            (-119_000, "119 s ago"),
            (120_000, "2 min ahead"),
            (-7_200_000, "2 h ago"),
            (172_800_000, "2 days ahead"),
            (i64::MIN, "106751991167 days ago"),
        ] {
            assert_eq!(away(at, 0), words);
        }
    }

    #[test]
    fn a_glimpse_shows_the_label_and_hardly_more() {
        for (text, shown) in [
            ("sha256=0123456789abcdef", "`sha256=0123…`, 23 characters"),
            ("v1,0123456789abcdef", "`v1,0123…`, 19 characters"),
            ("0123456789abcdef", "`0123…`, 16 characters"),
            ("sha256=01234567", "15 characters"),
            ("0123456789abcdefghijk=", "`0123…`, 22 characters"),
            ("short", "5 characters"),
            ("", "0 characters"),
            ("\u{1b}[2Jxxxxxxxxxx", "`\\u{1b}[2J…`, 14 characters"),
        ] {
            assert_eq!(glimpse(text), shown);
        }
    }
}
