use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::event::{Event, Headers, SENDER_ID};
use crate::pointer::SCAN_BYTES;

const JOB: &str = r#"{
    "tenant": "acme", "count": 3, "ratio": 0.5, "big": 18446744073709551615, "none": null,
    "tenant": "second", "text": "a \"b\" é", "ok": true,
    "tags": ["new", "paid"], "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}],
    "totals": {"lead": 10, "user": 0}
}"#;

const HEADERS: &[u8] = b"x-env: prod\r\nx-multi: one\r\nx-multi: two\r\nx-binary: \xff\r\n";

fn event_with(headers: &[u8], body: &[u8]) -> Event {
    let attributes = vec![(SENDER_ID.to_owned(), "msg_1".to_owned())];
    let (headers, body) = (Headers::restore(headers), Bytes::copy_from_slice(body));
    Event::restore("hotglue".into(), "JOB_DONE".into(), 0, None, attributes, headers, body)
}

fn event(body: &str) -> Event {
    event_with(HEADERS, body.as_bytes())
}

fn holds(text: &str, event: &Event) -> Result<bool, Failure> {
    let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    condition.holds(&Facts::new(event))
}

fn failure(text: &str, event: &Event) -> String {
    holds(text, event).expect_err(text).to_string()
}

#[test]
fn a_condition_sees_the_whole_event() {
    let event = event(JOB);
    for (text, expected) in [
        (r#"source == "hotglue" && type.startsWith("JOB_") && id == "msg_1""#, true),
        (r#"type in ["JOB_DONE", "JOB_FAILED"]"#, true),
        (r#"headers["x-env"] == "prod""#, true),
        (r#"headers["x-multi"] == "one, two" && headers["x-binary"] == "\ufffd""#, true),
        (r#""x-none" in headers || headers["x-env"] == "test""#, false),
        (r#"body.tenant == "acme""#, true),
        (r#"body["tenant"].matches("^[a-c]+m") && body.text.contains("\"b\" é")"#, true),
        ("body.count == 3 && body.count > 2.5 && body.count + 1 == 4", true),
        ("body.ratio == 0.5 && body.big == 18446744073709551615u && body.none == null", true),
        ("has(body.ok) && body.ok && !has(body.other) && size(body.tags) == 2", true),
        ("body.tags[1] == 'paid' && 'new' in body.tags && 'lead' in body.totals", true),
        ("body.items.exists(i, i.sku == 'b' && i.n > 1)", true),
        ("body.items.all(i, i.n > 1)", false),
        ("body.items.filter(i, i.n > 1).map(i, i.sku) == ['b']", true),
        ("body.totals.exists(name, body.totals[name] > 5)", true),
        ("['acme', 'other'].exists_one(name, body.tenant == name)", true),
        ("type(body.tenant) == string && type(body.items) == list", true),
        ("body.missing == 1 || type == 'JOB_DONE'", true),
    ] {
        assert_eq!(holds(text, &event), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_answered_says_why_and_repeats_no_value() {
    let event = event(JOB);
    for (text, expected) in [
        ("body.missing == 1", "there is no `missing`"),
        ("headers['x-none'] == ''", "there is no `x-none`"),
        ("body.tenant", "the result is no bool, but string"),
        ("body.tenant > 1", "found no matching overload for '_>_' applied to '(string, int)'"),
        (
            "body.tenant.sku == ''",
            "found no matching overload for '_._' applied to '(string, string)'",
        ),
        ("body.tenant + 1 == 1", "string and int do not go together"),
        ("int(body.tenant) == 1", "`int` failed"),
        ("body.tags[2] == ''", "the list is shorter than that"),
        ("body.count / (body.count - 3) == 1", "division by zero"),
        ("body.count * 9223372036854775807 == 1", "a number is too large"),
        ("body.count.exists(i, i == 1)", "expected iterable, found int"),
    ] {
        assert_eq!(failure(text, &event), expected, "{text}");
    }
}

#[test]
fn only_a_condition_on_the_body_needs_one() {
    let unreadable = event("no json");
    assert_eq!(holds("headers['x-env'] == 'prod'", &unreadable), Ok(true));
    assert_eq!(holds("type == 'JOB_DONE' || body.a == 1", &unreadable), Ok(true));
    let not_json = Failure::Body(Unreadable::NotJson { line: 1, column: 2 });
    assert_eq!(holds("body.a == 1", &unreadable), Err(not_json));
}

#[test]
fn a_large_body_has_no_value() {
    let text = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    assert_eq!(holds("size(body.a) > 1", &event(&text(SCAN_BYTES))), Ok(true));
    let too_large = Failure::Body(Unreadable::TooLarge { bytes: SCAN_BYTES + 1 });
    assert_eq!(holds("size(body.a) > 1", &event(&text(SCAN_BYTES + 1))), Err(too_large));
}

#[test]
fn a_form_is_an_object_of_strings() {
    let headers = b"content-type: application/x-www-form-urlencoded\r\n";
    let form = event_with(headers, b"command=%2Fdeploy&n=1&n=2&text=a+b");
    let text =
        "body.command == '/deploy' && body.n == '1' && body.text == 'a b' && size(body) == 3";
    assert_eq!(holds(text, &form), Ok(true));
    assert_eq!(failure("body.user == ''", &form), "there is no `user`");
}

#[test]
fn what_is_no_condition_is_refused_with_its_place() {
    let long = format!("type == '{}'", "x".repeat(EXPRESSION_BYTES - 9));
    for (text, expected, at) in [
        (&*long, "the expression has 1025 bytes, more than the 1024 that are allowed", 0),
        ("", "not a CEL expression: it ends too early", 0),
        ("type ==", "not a CEL expression: it ends too early", 7),
        ("type = 'a'", "not a CEL expression: token recognition error at: '= '", 5),
        ("'é' == 'é' é", "not a CEL expression: token recognition error at: 'é'", 13),
        ("type ==\n  'a' 'b'", "not a CEL expression: extraneous input ''b''", 14),
        ("body.?tenant == 'a'", "not a CEL expression: unsupported syntax '.?'", 4),
        ("'é' == boddy.tenant", "there is no variable `boddy`", 8),
        ("body.items.exists(i, i.a == j)", "there is no variable `j`", 28),
        ("body.items.exists(i, i.a == 1) && i == 1", "there is no variable `i`", 34),
        (
            "body.a.startWith('b')",
            "there is no function `startWith` that can be called like this",
            7,
        ),
        ("body.a.exists(i)", "there is no function `exists` that can be called like this", 7),
        (".size(body) == 1", "there is no function `.size` that can be called like this", 1),
        ("Order{id: 1} == 1", "there is no type `Order` to make a value of", 5),
        (
            "body.a.all(a, a.b.exists(b, b == 1))",
            "a macro within a macro: its cost would not be bounded",
            18,
        ),
        (
            "body.a.exists(a, a.matches('b'))",
            "`matches` within a macro: it would compile its pattern for every item",
            19,
        ),
        (
            "type.matches(body.pattern)",
            "the pattern of `matches` has to stand in the expression itself, in quotes",
            5,
        ),
        ("type.matches('[a')", "`[a` is no pattern, or one that is too large", 13),
        (r"matches(type, r'\w{99}')", r"`\w{99}` is no pattern, or one that is too large", 14),
    ] {
        let error = Condition::parse(text).expect_err(text);
        assert_eq!((&*error.to_string(), error.at), (expected, at), "{text}");
    }
}

#[test]
fn every_function_that_is_offered_can_be_called() {
    for name in FUNCTIONS {
        let text = match *name {
            "contains" | "endsWith" | "startsWith" | "matches" => {
                format!("type.{name}('JOB_DONE')")
            }
            "size" => "size(type) == type.size()".to_owned(),
            "bool" => "bool('true')".to_owned(),
            "type" => "type(1) == int".to_owned(),
            "bytes" | "string" | "dyn" => format!("{name}(type) == {name}('JOB_DONE')"),
            number => format!("{number}('1') == 1"),
        };
        assert_eq!(holds(&text, &event("")), Ok(true), "{text}");
    }
    assert!(TYPES_SHOWN.iter().all(|text| holds(text, &event(JOB)) == Ok(true)));
}

const TYPES_SHOWN: [&str; 4] = [
    "type(true) == bool && type(b'') == bytes && type(1.0) == double",
    "type(1) == int && type(1u) == uint && type('') == string",
    "type([]) == list && type({}) == map && type(null) == null_type",
    "type(body.count) == int && type(headers) == map",
];

#[test]
fn a_macro_walks_a_bounded_number_of_items() {
    let list = |items: usize| event(&format!("[{}0]", "0,".repeat(items - 1)));
    assert_eq!(holds("body.all(i, i == 0)", &list(10_000)), Ok(true));
    assert_eq!(failure("body.all(i, i == 0)", &list(10_001)), "a macro would walk too many items");
    // Looking at anything else, each item may cost as much as the event.
    assert_eq!(holds("body.all(i, i in body)", &list(1_000)), Ok(true));
    assert_eq!(
        failure("body.all(i, i in body)", &list(2_000)),
        "a macro would walk too many items"
    );
    assert_eq!(holds("[1, 2].all(i, !(i in body))", &list(10_000)), Ok(true));
}

#[test]
fn a_condition_as_deep_as_it_can_be_fits_on_the_stack() {
    let most = EXPRESSION_BYTES - 8;
    for (head, link, tail) in [
        ("1", "+1", " == 1"),
        ("1", "==1", ""),
        ("body", ".a", " == 1"),
        ("body", "[0]", " == 1"),
        ("true", "||true", ""),
        ("true", "?true:true", ""),
    ] {
        let text = format!("{head}{}{tail}", link.repeat(most / link.len() - 2));
        if let Ok(condition) = Condition::parse(&text) {
            let _said = condition.holds(&Facts::new(&event(JOB)));
        }
    }
    for (open, close) in [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("[", ""), ("size(", ")")] {
        for depth in [50, most / (open.len() + close.len()) - 2] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            if let Ok(condition) = Condition::parse(&text) {
                let _said = condition.holds(&Facts::new(&event(JOB)));
            }
        }
    }
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(holds("body == body && size(body) == 1", &event(&deep)), Ok(true));
    let deeper = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(holds("size(body) == 1", &event(&deeper)), Err(Failure::Body(_))));
}

/// Conditions that touch a body in every way there is.
const PROBES: [&str; 10] = [
    "body == body && !(body != body) && body in [body]",
    "body.a < body.b || body.a >= body[0]",
    "body.a + body.b == body.b - body.a",
    "body.a * body.a / body.b % body.a == -body.b",
    "body[body.a] == body[body.b]",
    "size(body) > 0 && body.size() < 9",
    "body.exists(a, a == 1) || body.all(a, a < body.a)",
    "body.map(a, [a, a]).filter(a, a[0] == 1).size() == 1",
    "int(body.a) == 1 || uint(body.a) == 1u || double(body.a) == 1.0 || bool(body.a)",
    "string(body.a).matches('^a+$') || body.a.contains(body.b)",
];

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<u64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| format!("{value:e}")),
        "[ab0-9\\\\\"u{}é]{0,6}".prop_map(|value| format!("\"{value}\"")),
        Just("-9223372036854775808".to_owned()),
        Just("-1".to_owned()),
        Just("0".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[ab]", inner), 0..4).prop_map(|members| {
                let members = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_survived(a in json(), b in json()) {
        for body in [format!(r#"{{"a":{a},"b":{b}}}"#), a] {
            let event = event(&body);
            let facts = Facts::new(&event);
            for text in PROBES {
                let _said = Condition::parse(text).unwrap().holds(&facts);
            }
        }
    }

    #[test]
    fn any_body_is_survived(
        body in prop::collection::vec(any::<u8>(), 0..200),
        form: bool,
    ) {
        let headers: &[u8] =
            if form { b"content-type: application/x-www-form-urlencoded\r\n" } else { b"" };
        let event = event_with(headers, &body);
        let facts = Facts::new(&event);
        for text in PROBES {
            let _said = Condition::parse(text).unwrap().holds(&facts);
        }
    }

    #[test]
    fn any_expression_is_survived(
        text in prop_oneof![
            ".{0,40}",
            prop::collection::vec(
                prop::sample::select(vec![
                    "body", ".a", ".exists(i, ", "i", "(", ")", "[", "]", "{", "}", ",", ":", "?",
                    " == ", " && ", "!", "-", "1", "1u", "1.5", "'a'", "b'\\xff'", "r'\\d'", "has(",
                    ".map(i, i, ", "size(", ".matches('a')", "type", " in ", "headers", "é", "\n",
                    "0xff", "9223372036854775808", "\"\"\"", ".?b", "`a-b`", "/", "%", "//",
                ]),
                0..12,
            ).prop_map(|tokens| tokens.concat()),
        ],
    ) {
        match Condition::parse(&text) {
            Ok(condition) => drop(condition.holds(&Facts::new(&event(JOB)))),
            Err(error) => prop_assert!(text.is_char_boundary(error.at), "{error} at {}", error.at),
        }
    }
}
