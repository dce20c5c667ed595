//! Text from outside, made fit for a terminal and a log.

use std::borrow::Cow;

/// The text with its control characters escaped: none can move a cursor, forge a line or hide
/// another.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unfit) {
        return Cow::Borrowed(text);
    }
    let mut fit = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_unfit(letter) {
            fit.extend(letter.escape_default());
        } else {
            fit.push(letter);
        }
    }
    Cow::Owned(fit)
}

/// The text's first `bytes` bytes, less what would split a character.
pub fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// Control characters, and those that reorder what stands around them.
fn is_unfit(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        for (text, expected) in [
            ("plain — ünïcode", "plain — ünïcode"),
            ("two\nlines", "two\\nlines"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }

    #[test]
    fn a_head_never_splits_a_character() {
        assert_eq!(
            (head("aé", 1), head("aé", 2), head("aé", 3), head("aé", 9)),
            ("a", "a", "aé", "aé")
        );
    }
}
