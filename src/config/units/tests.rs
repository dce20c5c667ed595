use proptest::prelude::*;

use super::*;

#[test]
fn durations_in_every_unit() {
    let millis = |text| duration(text).map(|duration| duration.as_millis());
    assert_eq!(millis("250ms"), Ok(250));
    assert_eq!(millis("5s"), Ok(5_000));
    assert_eq!(millis("2m"), Ok(120_000));
    assert_eq!(millis("1h"), Ok(3_600_000));
    assert_eq!(millis("7d"), Ok(604_800_000));
    assert_eq!(millis("0s"), Ok(0));
}

#[test]
fn sizes_and_rates_in_every_unit() {
    assert_eq!(size("1B"), Ok(1));
    assert_eq!(size("64KiB"), Ok(65_536));
    assert_eq!(size("25MiB"), Ok(26_214_400));
    assert_eq!(size("1GiB"), Ok(1 << 30));
    assert_eq!(size("2TiB"), Ok(2 << 40));
    assert_eq!(rate("4KiB/s"), Ok(4_096));
}

#[test]
fn what_is_no_quantity() {
    for text in ["", "s", "-5s", "+5s", " 5s", "1.5s", "1,5s", "five s", "٥s"] {
        assert_eq!(duration(text), Err(UnitError::NoWholeNumber), "{text:?}");
    }
    assert_eq!(duration("5"), Err(UnitError::NoUnit));
    for unit in ["S", " s", "sec", "w", "s ", "s5m", "µs"] {
        let error = Err(UnitError::UnknownUnit(unit.to_owned()));
        assert_eq!(duration(&format!("5{unit}")), error);
    }
    assert_eq!(size("5MB"), Err(UnitError::UnknownUnit("MB".to_owned())));
    assert_eq!(size("5KIB"), Err(UnitError::UnknownUnit("KIB".to_owned())));
    assert_eq!(rate("4KiB"), Err(UnitError::NotPerSecond));
    assert_eq!(rate("4KiB/m"), Err(UnitError::NotPerSecond));
    assert_eq!(rate("4/s"), Err(UnitError::NoUnit));
}

#[test]
fn the_largest_quantity_and_one_more() {
    assert_eq!(size("18446744073709551615B"), Ok(u64::MAX));
    assert_eq!(size("18446744073709551616B"), Err(UnitError::TooLarge));
    assert_eq!(size("16777215TiB"), Ok(16_777_215 << 40));
    assert_eq!(size("16777216TiB"), Err(UnitError::TooLarge));
    assert_eq!(duration("213503982334d").map(|_| ()), Ok(()));
    assert_eq!(duration("213503982335d"), Err(UnitError::TooLarge));
}

#[test]
fn quantities_are_shown_in_their_largest_whole_unit() {
    let shown = |millis| ShowDuration(Duration::from_millis(millis)).to_string();
    assert_eq!(shown(0), "0ms");
    assert_eq!(shown(1_500), "1500ms");
    assert_eq!(shown(90_000), "90s");
    assert_eq!(shown(86_400_000), "1d");
    assert_eq!(ShowSize(0).to_string(), "0B");
    assert_eq!(ShowSize(65_537).to_string(), "65537B");
    assert_eq!(ShowSize(25 << 20).to_string(), "25MiB");
}

proptest! {
    #[test]
    fn what_is_shown_reads_as_the_same(millis: u64, bytes: u64) {
        let shown = ShowDuration(Duration::from_millis(millis)).to_string();
        prop_assert_eq!(duration(&shown), Ok(Duration::from_millis(millis)));
        prop_assert_eq!(size(&ShowSize(bytes).to_string()), Ok(bytes));
    }

    #[test]
    fn no_text_panics(text: String, number: u64) {
        let _ = (duration(&text), size(&text), rate(&text));
        let _ = duration(&format!("{number}{text}"));
    }
}

#[test]
fn quotas_in_every_unit() {
    let read = |text| quota(text).map(|quota| (quota.amount.get(), quota.per.as_secs()));
    assert_eq!(read("200/s"), Ok((200, 1)));
    assert_eq!(read("1000/m"), Ok((1_000, 60)));
    assert_eq!(read("50/h"), Ok((50, 3_600)));
    assert_eq!(read("1000000/s"), Ok((1_000_000, 1)));
    assert_eq!(read("1000001/s"), Err(UnitError::TooLarge));
    assert_eq!(read("99999999999/s"), Err(UnitError::TooLarge));
    assert_eq!(read("0/s"), Err(UnitError::Nothing));
    for text in ["200", "200/d", "200/", "200/S", "200 / s", "/"] {
        assert_eq!(read(text), Err(UnitError::NotPerTime), "{text:?}");
    }
    for text in ["/s", "-1/s", "+1/s", "1.5/s", " 1/s", "٥/s"] {
        assert_eq!(read(text), Err(UnitError::NoWholeNumber), "{text:?}");
    }
}

#[test]
fn fuzzed_quantities_are_read_as_they_are_shown() {
    crate::fuzz::fuzz("units", |input| {
        let text = &String::from_utf8_lossy(input);
        if let Ok(found) = duration(text) {
            assert_eq!(duration(&ShowDuration(found).to_string()), Ok(found));
        }
        if let Ok(found) = size(text) {
            assert_eq!(size(&ShowSize(found).to_string()), Ok(found));
        }
        if let Ok(found) = rate(text) {
            assert_eq!(size(text.strip_suffix(PER_SECOND).unwrap()), Ok(found));
        }
        if let Ok(found) = quota(text) {
            assert!(found.amount <= MOST && !found.per.is_zero());
        }
    });
}
