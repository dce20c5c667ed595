//! Causes that are the same but for what differs from event to event.

use std::borrow::Cow;

use crate::text::head;

/// So much of a cause tells it from others, in bytes.
const TELLING_BYTES: usize = 300;

/// What stands for a number or an id.
const ANY: &str = "…";

/// A word with a digit in it that has as many letters is an id.
const ID_LETTERS: usize = 8;

/// A number behind one of these is a place in a text.
const PLACES: [&str; 5] = ["line", "column", "offset", "position", "byte"];

/// Whether two causes differ in numbers and ids alone.
pub fn same(one: &str, other: &str) -> bool {
    pattern(one) == pattern(other)
}

/// The cause with `…` for numbers and ids. The pattern of a pattern is the same.
pub fn pattern(cause: &str) -> String {
    let line = cause.lines().next().unwrap_or_default();
    let mut pattern = String::new();
    let mut rest = head(line, TELLING_BYTES);
    let mut before = "";
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        pattern += &general(word, before);
        let gap = after.find(is_word).unwrap_or(after.len());
        let (between, after) = after.split_at(gap);
        pattern += between;
        rest = after;
        before = if between.contains(ANY) { "" } else { word };
    }
    pattern
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-')
}

/// A number of three digits is kept, unless the word before says that it is a place: it is mostly a
/// status, and says what is wrong.
fn general<'a>(word: &'a str, before: &str) -> Cow<'a, str> {
    let has_digit = word.contains(|letter: char| letter.is_ascii_digit());
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_telling = match is_number {
        true => word.len() == 3 && !PLACES.contains(&before),
        false => word.len() < ID_LETTERS && !word.starts_with(|c: char| c.is_ascii_digit()),
    };
    if has_digit && !is_telling { Cow::Borrowed(ANY) } else { Cow::Borrowed(word) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_ids_do_not_tell_causes_apart() {
        for (cause, expected) in [
            ("order 1234 not found", "order … not found"),
            ("order 7 not found", "order … not found"),
            ("crm answered 503", "crm answered 503"),
            ("no outcome within 5000 ms", "no outcome within … ms"),
            ("evt_01M8143EMWMKEWMR0000000001 of c-550e8400-e29b", "… of …"),
            ("a comma at line 117 column 113", "a comma at line … column …"),
            ("column 1234 503", "column … 503"),
            ("cannot reach 10.1.0.33:8080", "cannot reach ….….….…:…"),
            ("at 0x7f32, sha256 of utf8", "at …, sha256 of utf8"),
            ("first line\nsecond 1", "first line"),
            ("ünïcode größe 12", "ünïcode größe …"),
            ("", ""),
        ] {
            assert_eq!(pattern(cause), expected);
        }
        assert!(same("order 1", "order …") && !same("order 1", "user 1"));
    }

    proptest! {
        #[test]
        fn the_pattern_of_a_pattern_is_the_same(cause: String) {
            let once = pattern(&cause);
            prop_assert_eq!(pattern(&once), once);
        }
    }
}
