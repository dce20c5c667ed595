use super::*;

const LIMIT: usize = 200;

/// What becomes of the bytes, given whole and in two pieces cut anywhere.
fn follow(bytes: &str) -> (Verdict, u64, bool) {
    let bytes = bytes.as_bytes();
    let mut whole = Framer::new(LIMIT);
    let verdict = whole.follow(bytes);
    for cut in 0..bytes.len() {
        let (one, two) = bytes.split_at(cut);
        let mut framer = Framer::new(LIMIT);
        if framer.follow(one) == Verdict::Pass {
            let refused = !matches!(framer.follow(two), Verdict::Pass);
            assert_eq!(refused, verdict != Verdict::Pass, "cut at {cut}");
        }
        assert_eq!(framer.received(), whole.received(), "cut at {cut}");
        assert_eq!(framer.at_rest(), whole.at_rest(), "cut at {cut}");
    }
    (verdict, whole.received(), whole.at_rest())
}

#[test]
fn messages_are_counted() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let counted = "POST / HTTP/1.1\r\ncontent-length:  3 \r\n\r\nabc";
    let empty = "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    let chunked = "POST / HTTP/1.1\nTRANSFER-ENCODING: chunked\n\n1;x\r\n\n\r\n0a \r\n0123456789\r\n00\r\nT: u\r\n\r\n";
    for message in [get, counted, empty, chunked] {
        assert_eq!(follow(message), (Verdict::Pass, 1, true));
    }
    let all = ["\r\n\r\n", chunked, "\r\n", counted, get, empty, counted, "\n"].concat();
    assert_eq!(follow(&all), (Verdict::Pass, 5, true));
}

#[test]
fn an_unfinished_message_is_not_at_rest() {
    for start in [
        "G",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
    ] {
        assert_eq!(follow(start), (Verdict::Pass, 0, false), "{start:?}");
    }
}

#[test]
fn a_second_length_is_refused_where_it_stands() {
    let first = "POST / HTTP/1.1\r\nContent-Length: 3\r\nX: y\r\n";
    for second in ["content-length: 3\r\n\r\nabc", "Transfer-Encoding: x\r\n\r\n"] {
        let (verdict, received, _) = follow(&[first, second].concat());
        assert_eq!((verdict, received), (Verdict::Refuse(first.len()), 0));
    }
    let next = "GET / HTTP/1.1\r\n\r\n";
    let (verdict, received, _) = follow(&[next, first, "content-length: 3\r\n\r\n"].concat());
    assert_eq!((verdict, received), (Verdict::Refuse(next.len() + first.len()), 1));
}

#[test]
fn lengths_do_not_outlive_their_message() {
    let posted = "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(follow(&posted.repeat(3)), (Verdict::Pass, 3, true));
}

#[test]
fn heads_end_at_the_limit() {
    let head = |length: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(length - 23));
    assert_eq!(head(LIMIT).len(), LIMIT);
    assert_eq!(follow(&head(LIMIT)).0, Verdict::Pass);
    assert_eq!(follow(&head(LIMIT + 1)).0, Verdict::TooLong(LIMIT));
    let next = head(LIMIT) + &head(LIMIT + 1);
    assert_eq!(follow(&next).0, Verdict::TooLong(2 * LIMIT));
}

#[test]
fn nothing_piles_up_in_chunk_sizes_and_trailers() {
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let spaces = " ".repeat(LIMIT);
    for long in [
        format!("1{spaces}"),
        format!("0\r\nX: {spaces}"),
        format!("0\r\n{}", "X:y\r\n".repeat(LIMIT)),
    ] {
        let verdict = follow(&[chunked, &long].concat()).0;
        assert!(matches!(verdict, Verdict::TooLong(_)), "{long:?}");
    }
}

#[test]
fn nonsense_is_left_to_hyper() {
    for bytes in [
        "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
    ] {
        assert_eq!(follow(bytes), (Verdict::Pass, 0, false), "{bytes:?}");
    }
}

#[test]
fn http2_is_not_followed() {
    let bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert_eq!(follow(bytes), (Verdict::Pass, 0, true));
    let mut framer = Framer::new(LIMIT);
    framer.follow(bytes.as_bytes());
    assert_eq!(framer.follow(&[b'x'; 2 * LIMIT]), Verdict::Pass);
}

#[test]
fn fuzzed_bytes_are_framed_alike_whole_and_in_pieces() {
    crate::fuzz::fuzz("framer", |bytes| {
        let mut whole = Framer::new(LIMIT);
        let verdict = whole.follow(bytes);
        if let Verdict::Refuse(passed) | Verdict::TooLong(passed) = verdict {
            assert!(passed <= bytes.len());
        }
        for size in [1, 3] {
            let mut framer = Framer::new(LIMIT);
            let passes = bytes.chunks(size).all(|piece| framer.follow(piece) == Verdict::Pass);
            assert_eq!(passes, verdict == Verdict::Pass);
            let seen = |framer: &Framer| (framer.received(), framer.at_rest(), framer.in_head());
            assert_eq!(seen(&framer), seen(&whole));
        }
    });
}
