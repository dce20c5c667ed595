//! What may have become of a body between whoever signed it and whoever checks it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::de::IgnoredAny;
use serde_json::Value;

/// JSON of more bytes than this is not written anew.
const JSON: usize = 1024 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How JSON is laid out.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Compact,
    /// As Python's `json.dumps` does.
    Spaced,
    Indented(usize),
}

/// How its strings are written.
#[derive(Clone, Copy, PartialEq)]
enum Strings {
    AsTheyAre,
    /// With no more escapes than JSON needs.
    Plain,
    /// With what is not ASCII escaped.
    Ascii,
    /// And slashes too, as PHP's `json_encode` does.
    Slashes,
}

/// Other bodies that the sender may have meant, and in which words.
pub(super) fn variants(body: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    bytes(body).chain(json(body)).filter(move |(_, variant)| variant != body)
}

fn bytes(body: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let has_crlf = || body.windows(2).any(|two| two == b"\r\n");
    let cut = body.strip_suffix(b"\n").map(|cut| cut.strip_suffix(b"\r").unwrap_or(cut));
    let bom = body.strip_prefix(BOM);
    let plain = [
        ("the body without the line break at its end", cut.map(<[u8]>::to_vec)),
        ("the body and a line break", Some([body, b"\n"].concat())),
        ("the body and a CRLF", Some([body, b"\r\n"].concat())),
        ("the body without white space around it", Some(body.trim_ascii().to_vec())),
        ("the body with LF in place of CRLF", has_crlf().then(|| without_cr(body))),
        ("the body with CRLF in place of LF", (!has_crlf()).then(|| with_cr(body))),
        ("the body without its byte order mark", bom.map(<[u8]>::to_vec)),
        ("an empty body", Some(Vec::new())),
    ];
    plain.into_iter().filter_map(|(name, body)| Some((name.to_owned(), body?)))
}

fn without_cr(body: &[u8]) -> Vec<u8> {
    let mut rest = body.iter().copied().peekable();
    let mut lines = Vec::with_capacity(body.len());
    while let Some(byte) = rest.next() {
        if byte != b'\r' || rest.peek() != Some(&b'\n') {
            lines.push(byte);
        }
    }
    lines
}

fn with_cr(body: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(body.len() + 16);
    for byte in body {
        if *byte == b'\n' {
            lines.push(b'\r');
        }
        lines.push(*byte);
    }
    lines
}

/// The same JSON, serialised by others.
fn json(body: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let text = str::from_utf8(body).ok().filter(|text| text.len() <= JSON);
    let text = text.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    let layouts = [
        (Layout::Compact, "without white space"),
        (Layout::Spaced, "with a space after each comma and colon"),
        (Layout::Indented(2), "indented by 2"),
        (Layout::Indented(4), "indented by 4"),
    ];
    let strings = [
        (Strings::AsTheyAre, ""),
        (Strings::Plain, ", with no needless escapes"),
        (Strings::Ascii, ", with what is not ASCII escaped"),
        (Strings::Slashes, ", with slashes and what is not ASCII escaped"),
    ];
    let written = text.into_iter().flat_map(move |text| {
        layouts.into_iter().flat_map(move |(layout, how)| {
            strings.into_iter().map(move |(strings, letters)| {
                let name = format!("the same JSON {how}{letters}");
                (name, write(text, layout, strings).into_bytes())
            })
        })
    });
    let sorted = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let sorted = sorted.and_then(|value| serde_json::to_vec(&value).ok());
    let sorted =
        sorted.map(|body| ("the same JSON as a program reads and writes it".to_owned(), body));
    written.chain(sorted)
}

/// Writes valid JSON anew, its numbers and the order of its keys as they are.
fn write(text: &str, layout: Layout, strings: Strings) -> String {
    let (mut out, mut depth, mut rest) = (String::with_capacity(text.len()), 0, text);
    while let Some(letter) = rest.chars().next() {
        let length = if letter == '"' { string(rest) } else { letter.len_utf8() };
        let (token, after) = rest.split_at(length);
        rest = after;
        match letter {
            '"' => out.push_str(&letters(token, strings)),
            '{' | '[' => {
                out.push(letter);
                if rest.trim_start().starts_with(['}', ']']) {
                    continue;
                }
                depth += 1;
                line(&mut out, layout, depth);
            }
            '}' | ']' => {
                if !out.ends_with(['{', '[']) {
                    depth -= 1;
                    line(&mut out, layout, depth);
                }
                out.push(letter);
            }
            ',' => {
                out.push(',');
                line(&mut out, layout, depth);
                if layout == Layout::Spaced {
                    out.push(' ');
                }
            }
            ':' => out.push_str(if layout == Layout::Compact { ":" } else { ": " }),
            ' ' | '\t' | '\r' | '\n' => {}
            _ => out.push_str(token),
        }
    }
    out
}

fn line(out: &mut String, layout: Layout, depth: usize) {
    if let Layout::Indented(by) = layout {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', by * depth));
    }
}

/// The length of the string that the text begins with, quotes included.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn letters(literal: &str, strings: Strings) -> Cow<'_, str> {
    if strings == Strings::AsTheyAre {
        return Cow::Borrowed(literal);
    }
    let plain =
        serde_json::from_str::<String>(literal).and_then(|text| serde_json::to_string(&text));
    let Ok(plain) = plain else { return Cow::Borrowed(literal) };
    if strings == Strings::Plain {
        return Cow::Owned(plain);
    }
    let mut ascii = String::with_capacity(plain.len());
    for letter in plain.chars() {
        match letter {
            '/' if strings == Strings::Slashes => ascii.push_str("\\/"),
            letter if letter.is_ascii() => ascii.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    // A string takes whatever is written to it.
                    let _always = write!(ascii, "\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str, variant: &str) -> Option<String> {
        variants(body.as_bytes())
            .find(|(_, other)| other == variant.as_bytes())
            .map(|(name, _)| name)
    }

    #[test]
    fn json_is_written_as_others_write_it() {
        let body = "{ \"a\" : [1.50,\"\\u00e9/\u{1f600}\", {} ,[ ]],\"b\":{\"c\\\"}\":null} }";
        for (variant, name) in [
            (r#"{"a":[1.50,"\u00e9/😀",{},[]],"b":{"c\"}":null}}"#, "without white space"),
            (r#"{"a": [1.50, "\u00e9/😀", {}, []], "b": {"c\"}": null}}"#, "with a space after"),
            (r#"{"a":[1.50,"é/😀",{},[]],"b":{"c\"}":null}}"#, "no needless escapes"),
            (
                r#"{"a": [1.50, "\u00e9/\ud83d\ude00", {}, []], "b": {"c\"}": null}}"#,
                "with a space after",
            ),
            (r#"{"a":[1.50,"\u00e9\/\ud83d\ude00",{},[]],"b":{"c\"}":null}}"#, "with slashes"),
            (
                "{\n  \"a\": [\n    1.50,\n    \"\\u00e9/😀\",\n    {},\n    []\n  ],\n  \"b\": {\n    \"c\\\"}\": null\n  }\n}",
                "indented by 2",
            ),
        ] {
            let named = found(body, variant).unwrap_or_else(|| panic!("{variant}"));
            assert!(named.contains(name), "{named}: {variant}");
        }
        assert!(found(r#"{"b":1.0,"a":2}"#, r#"{"a":2,"b":1.0}"#).is_some());
    }

    #[test]
    fn line_ends_come_and_go() {
        for (body, variant) in [
            ("a", "a\n"),
            ("a", "a\r\n"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\r\nb", "a\nb"),
            ("a\nb", "a\r\nb"),
            (" a ", "a"),
            ("\u{feff}a", "a"),
            ("a", ""),
        ] {
            assert!(found(body, variant).is_some(), "{body:?} {variant:?}");
        }
    }

    #[test]
    fn what_is_no_json_is_not_written_anew() {
        for body in ["", "{", "\"", "{\"a\":1}x", "a=1&b=2"] {
            assert!(!variants(body.as_bytes()).any(|(name, _)| name.contains("JSON")), "{body}");
        }
    }
}
