//! The query of a list of events.

use crate::delivery::State;
use crate::ledger::Filter;

/// Events on a page when the request does not say.
const PAGE: usize = 50;
/// Events on a page at the most.
const PAGE_MOST: usize = 500;

/// The name of the state of events that no route took.
const UNROUTED: &str = "unrouted";

/// Reads the query of a list of events; the error says what is wrong with it.
pub fn filter(query: &str) -> Result<Filter, String> {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    filter_of(pairs.iter().map(|(name, value)| (&**name, &**value)))
}

/// Reads the parameters of a list of events.
pub fn filter_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Filter, String> {
    let mut filter = Filter { limit: PAGE, ..Filter::default() };
    let (mut since, mut until) = (0, u64::MAX);
    for (name, value) in pairs {
        match name {
            "source" => filter.source = Some(value.to_owned()),
            "type" => filter.kind = Some(value.to_owned()),
            "route" => filter.route = Some(value.to_owned()),
            "cause" => filter.cause = Some(value.to_owned()),
            "state" if value == UNROUTED => filter.state = Some(None),
            "state" => filter.state = Some(Some(state(value)?)),
            "since" => since = time(name, value)?,
            "until" => until = time(name, value)?,
            "cursor" => filter.before = Some(number(name, value)?),
            "limit" => filter.limit = limit(number(name, value)?)?,
            _ => return Err(format!("unknown parameter `{name}`")),
        }
    }
    filter.received = (since > 0 || until < u64::MAX).then_some(since..until);
    Ok(filter)
}

/// Reads the query of the dead letters: the place to go on from, if it has one.
pub fn cursor(query: &str) -> Result<Option<i64>, String> {
    let mut cursor = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "cursor" => cursor = Some(number(&name, &value)?.cast_signed()),
            _ => return Err(format!("unknown parameter `{name}`")),
        }
    }
    Ok(cursor)
}

fn state(name: &str) -> Result<State, String> {
    State::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = State::ALL.into_iter().map(State::name).collect();
        format!("unknown state `{name}`: it is one of {}, {UNROUTED}", known.join(", "))
    })
}

fn limit(count: u64) -> Result<usize, String> {
    match usize::try_from(count) {
        Ok(0) => Err("`limit` must be at least 1".to_owned()),
        Ok(count) => Ok(count.min(PAGE_MOST)),
        Err(_) => Ok(PAGE_MOST),
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    let number = value.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    number.ok_or_else(|| format!("`{name}` must be a whole number"))
}

/// Milliseconds since 1970, or RFC 3339.
fn time(name: &str, value: &str) -> Result<u64, String> {
    let rfc3339 = || value.parse::<jiff::Timestamp>().ok()?.as_millisecond().try_into().ok();
    value.parse().ok().or_else(rfc3339).ok_or_else(|| {
        format!("`{name}` must be a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_a_filter() {
        let all = filter(
            "source=a%20b&type=x&state=dead&since=1000&until=1970-01-01T00:00:02Z&cursor=7&limit=9999",
        );
        let all = all.unwrap();
        assert_eq!((all.source.as_deref(), all.kind.as_deref()), (Some("a b"), Some("x")));
        assert_eq!((all.state, all.received), (Some(Some(State::Dead)), Some(1_000..2_000)));
        assert_eq!((all.before, all.limit), (Some(7), PAGE_MOST));
        assert_eq!(filter("").unwrap().limit, PAGE);
        assert_eq!(filter("limit=1").unwrap().limit, 1);
        assert_eq!(filter("state=unrouted").unwrap().state, Some(None));
    }

    #[test]
    fn a_wrong_query_is_told() {
        for (query, part) in [
            ("sorce=a", "unknown parameter `sorce`"),
            ("state=gone", "one of pending, leased, done, dead, parked, unrouted"),
            ("since=yesterday", "`since` must be a time"),
            ("limit=0", "`limit` must be at least 1"),
            ("cursor=-1", "`cursor` must be a whole number"),
            ("cursor=18446744073709551615", "`cursor` must be a whole number"),
        ] {
            let problem = filter(query).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
