use super::*;
use proptest::prelude::*;

fn find(body: &str, pointers: &[&str]) -> Result<Option<(usize, String)>, Unreadable> {
    let pointers: Vec<_> = pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
    let refs: Vec<_> = pointers.iter().collect();
    Ok(first(body.as_bytes(), &refs)?.map(|(rank, value)| (rank, value.into_owned())))
}

fn found(rank: usize, value: &str) -> Result<Option<(usize, String)>, Unreadable> {
    Ok(Some((rank, value.to_owned())))
}

#[test]
fn pointers_are_checked() {
    assert_eq!(Pointer::parse(""), Err(PointerError::NoSlash));
    assert_eq!(Pointer::parse("status"), Err(PointerError::NoSlash));
    for bad in ["/~", "/a~2", "/~/b", "/a~"] {
        assert_eq!(Pointer::parse(bad), Err(PointerError::Tilde), "{bad}");
    }
    assert_eq!(Pointer::parse("/a~0~1/ü").unwrap().to_string(), "/a~0~1/ü");
    assert_eq!(Pointer::from_static("/a"), Pointer::parse("/a").unwrap());
}

#[test]
fn scalars_are_found_as_written() {
    let body = r#"{"s":"a b","e":"a\n\u00e9","i":-12,"f":1.10e+2,"big":123456789012345678901234567890,"t":true}"#;
    assert_eq!(find(body, &["/s"]), found(0, "a b"));
    assert_eq!(find(body, &["/e"]), found(0, "a\né"));
    assert_eq!(find(body, &["/i"]), found(0, "-12"));
    assert_eq!(find(body, &["/f"]), found(0, "1.10e+2"));
    assert_eq!(find(body, &["/big"]), found(0, "123456789012345678901234567890"));
    assert_eq!(find(body, &["/t"]), found(0, "true"));
}

#[test]
fn null_and_containers_count_as_not_there() {
    let body = r#"{"n":null,"o":{"x":1},"a":[1]}"#;
    assert_eq!(find(body, &["/n", "/o", "/a", "/gone", "/n/x", "/o/x/y"]), Ok(None));
    assert_eq!(find(body, &["/n", "/o", "/a/0"]), found(2, "1"));
    for root in ["1", "null", "\"x\"", "true", "1.5", "-3", "[]"] {
        assert_eq!(find(root, &["/0"]), Ok(None), "{root}");
    }
}

#[test]
fn a_plain_string_is_borrowed() {
    let body = br#"{"a":"x"}"#;
    let pointer = Pointer::from_static("/a");
    assert!(matches!(first(body, &[&pointer]), Ok(Some((0, Cow::Borrowed("x"))))));
}

#[test]
fn the_list_decides_not_the_document() {
    let body = r#"{"event":"LINK","status":"DONE"}"#;
    assert_eq!(find(body, &["/status", "/event"]), found(0, "DONE"));
    assert_eq!(find(body, &["/event", "/status"]), found(0, "LINK"));
    assert_eq!(find(r#"{"event":"LINK"}"#, &["/status", "/event"]), found(1, "LINK"));
    assert_eq!(find(r#"{"c":3,"b":2,"a":1}"#, &["/x", "/b", "/c"]), found(1, "2"));
}

#[test]
fn a_pointer_may_go_through_another() {
    let body = r#"{"a":{"b":{"c":"deep"},"d":1}}"#;
    assert_eq!(find(body, &["/a", "/a/b", "/a/b/c"]), found(2, "deep"));
    assert_eq!(find(body, &["/a/b/c", "/a"]), found(0, "deep"));
    assert_eq!(find(body, &["/a", "/a/d", "/a/b/c"]), found(1, "1"));
}

#[test]
fn arrays_are_indexed() {
    let body = r#"{"e":[{"id":"x"},{"id":"y"}],"0":"key"}"#;
    assert_eq!(find(body, &["/e/1/id"]), found(0, "y"));
    assert_eq!(find(body, &["/0"]), found(0, "key"));
    for not in
        ["/e/2/id", "/e/01/id", "/e/-/id", "/e/+1/id", "/e//id", "/e/99999999999999999999/id"]
    {
        assert_eq!(find(body, &[not]), Ok(None), "{not}");
    }
}

#[test]
fn keys_are_unescaped_on_both_sides() {
    assert_eq!(find(r#"{"a/b":1}"#, &["/a~1b"]), found(0, "1"));
    assert_eq!(find(r#"{"~1":1}"#, &["/~01"]), found(0, "1"));
    assert_eq!(find(r#"{"\u0061":1}"#, &["/a"]), found(0, "1"));
    assert_eq!(find(r#"{"":{"":1}}"#, &["//"]), found(0, "1"));
}

#[test]
fn of_a_repeated_key_the_first_scalar_counts() {
    assert_eq!(find(r#"{"a":1,"a":2}"#, &["/x", "/a"]), found(1, "1"));
    assert_eq!(find(r#"{"a":null,"a":2}"#, &["/a"]), found(0, "2"));
}

#[test]
fn the_scan_ends_at_the_first_pointer_but_not_before() {
    assert_eq!(find(r#"{"a":1,"b":2 broken"#, &["/a", "/b"]), found(0, "1"));
    let unfinished = find(r#"{"b":2, broken"#, &["/a", "/b"]);
    assert!(matches!(unfinished, Err(Unreadable::NotJson { line: 1, .. })));
    assert!(find(r#"{"b":2} trailing"#, &["/a"]).is_err());
    assert!(find("", &["/a"]).is_err());
}

#[test]
fn deep_nesting_does_not_overflow() {
    let deep = "[".repeat(SCAN_BYTES / 2);
    assert!(find(&deep, &["/0"]).is_err());
    assert!(find(&deep, &[&"/0".repeat(50_000)]).is_err());
    let beside = format!(r#"{{"x":{}{},"a":1}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(find(&beside, &["/a"]), found(0, "1"));
}

#[test]
fn a_large_body_is_not_read() {
    let body = format!(r#"{{"a":1}}{}"#, " ".repeat(SCAN_BYTES - 6));
    assert_eq!(find(&body[..SCAN_BYTES], &["/a"]), found(0, "1"));
    assert_eq!(find(&body, &["/a"]), Err(Unreadable::TooLarge { bytes: SCAN_BYTES + 1 }));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[ab\"\\\\é]{0,3}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map("[ab/~01]{0,2}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn expected(value: &serde_json::Value, pointers: &[String]) -> Option<(usize, String)> {
    pointers.iter().enumerate().find_map(|(rank, pointer)| match value.pointer(pointer)? {
        serde_json::Value::String(text) => Some((rank, text.clone())),
        scalar @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
            Some((rank, scalar.to_string()))
        }
        _ => None,
    })
}

proptest! {
    #[test]
    fn agrees_with_a_full_parse(value in json(), pointers in prop::collection::vec("(/(a|b|0|1|~0|~1|)){1,4}", 1..5)) {
        let texts: Vec<&str> = pointers.iter().map(String::as_str).collect();
        prop_assert_eq!(find(&value.to_string(), &texts), Ok(expected(&value, &pointers)));
    }

    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = first(&body, &[&Pointer::from_static("/a/0")]);
    }
}

#[test]
fn fuzzed_pointers_lead_where_serde_json_says() {
    crate::fuzz::fuzz("pointer", |input| {
        let text = String::from_utf8_lossy(input);
        let (pointer, body) = text.split_once('\n').unwrap_or_default();
        let Ok(pointer) = Pointer::parse(pointer) else { return };
        let _unlike: Result<_, _> = first(input, &[&pointer]);
        let Ok(value) = serde_json::from_str::<Value>(body) else { return };
        assert!(first(body.as_bytes(), &[&pointer]).is_ok());
        // Written anew, no key repeats.
        let body = value.to_string();
        let found = first(body.as_bytes(), &[&pointer]).unwrap().map(|(_, text)| text);
        let expected = value.pointer(pointer.as_str()).and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        });
        assert_eq!(found.as_deref(), expected.as_deref());
    });
}
