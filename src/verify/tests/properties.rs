use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

static SPEC: LazyLock<SignedSpec> = LazyLock::new(|| {
    let at = TimestampAt::Header("X-Time".into());
    with_layout(whole("", ""), "{header:X-Id}.{timestamp}.{body}", Some(timestamp(at)))
});

/// A signed request in parts, so that a test can damage one of them.
#[derive(Debug, Clone)]
struct Parts {
    secret: String,
    id: String,
    body: Vec<u8>,
    tag: Vec<u8>,
}

impl Parts {
    fn verdict(&self) -> Result<usize, Refusal> {
        let verifier = bind(scheme(&SPEC), &[&self.secret]);
        let headers = [
            ("X-Id", self.id.as_str()),
            ("X-Time", "1700000000"),
            ("X-Sig", &hex::encode(&self.tag)),
        ];
        check(&verifier, request(&headers, &self.body), NOW_MS)
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    ("[!-~]{1,80}", "[!-~]{1,20}", prop::collection::vec(any::<u8>(), 1..300)).prop_map(
        |(secret, id, body)| {
            let content = [format!("{id}.1700000000.").as_bytes(), &body].concat();
            let tag = hex::decode(sha256(&secret, &content)).unwrap();
            Parts { secret, id, body, tag }
        },
    )
}

/// Another printable character in place of the one there.
fn flip_char(text: &mut String, at: Index) {
    let at = at.index(text.len());
    let other = if &text[at..=at] == "x" { "y" } else { "x" };
    text.replace_range(at..=at, other);
}

fn flip_bit(bytes: &mut [u8], at: Index) {
    let bit = at.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

fn header_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![32_u8..127, 128_u8..=255, Just(b'\t')], 0..80)
}

proptest! {
    #[test]
    fn what_was_signed_is_verified(parts in parts()) {
        prop_assert_eq!(parts.verdict(), Ok(0));
    }

    #[test]
    fn any_damage_is_a_mismatch(parts in parts(), at in any::<Index>()) {
        let damage: [fn(&mut Parts, Index); 4] = [
            |parts, at| flip_char(&mut parts.secret, at),
            |parts, at| flip_char(&mut parts.id, at),
            |parts, at| flip_bit(&mut parts.body, at),
            |parts, at| flip_bit(&mut parts.tag, at),
        ];
        for damage in damage {
            let mut damaged = parts.clone();
            damage(&mut damaged, at);
            prop_assert_eq!(damaged.verdict(), Err(Refusal::Mismatch), "{:?}", damaged);
        }
    }

    #[test]
    fn no_header_makes_it_panic(value in header_bytes(), target in "[ -~]{0,40}") {
        let mut request = request(&[("X-Time", "1700000000")], b"body");
        request.headers.insert("x-sig", HeaderValue::from_bytes(&value).unwrap());
        request.target = target;
        for spec in [&PLAIN, &FIELDS, &SPEC] {
            prop_assert!(verifier(spec).precheck(&request.headers, &request.target).is_err());
        }
    }

    #[test]
    fn no_timestamp_makes_it_panic(text in "[0-9TZ:. +,A-Za-z-]{0,40}", now in any::<i64>()) {
        for name in TimeFormat::NAMES {
            let format = TimeFormat::from_name(name).unwrap();
            let timestamp = TimestampSpec { format, ..timestamp(TimestampAt::Header("X-Time".into())) };
            let spec = with_layout(whole("", ""), "{timestamp}", Some(timestamp));
            let tag = sha256("other", b"");
            verifier(&spec).verify(request(&[("X-Sig", &tag), ("X-Time", &text)], b""), now).unwrap_err();
        }
    }
}
