//! Reads what nobody would write: a kept corpus, then inputs made of it at random.
//!
//! `cargo test fuzzed` takes a moment for each target, always with the same inputs; with
//! `HOOKYARD_FUZZ_SECONDS` set, so long for each, with others every time. An input on which a
//! target fails is printed as the line that keeps it in the corpus.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Inputs that are made where no time is given.
const RUNS: u64 = 1_000;

/// Bytes that mean something to one reader or another.
const TELLING: &[u8] = b"\0\t\n\r !\"%&'()*+,-./059:;<=>?AZ[\\]_az{|}~\x7f\x80\xc3\xff";

/// Changes made to one input at the most.
const CHANGES: usize = 6;

/// Calls `target`, which panics if something is wrong, with the lines of
/// `tests/fixtures/fuzz/NAME.txt`, and with what becomes of them.
pub(crate) fn fuzz(name: &str, target: impl Fn(&[u8])) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/fuzz/{name}.txt"));
    let kept = std::fs::read_to_string(file).unwrap();
    let corpus: Vec<Vec<u8>> = kept.lines().map(unescaped).collect();
    let attempt = |input: &[u8]| {
        catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|panic| {
            eprintln!("{name} fails on\n{}", input.escape_ascii());
            resume_unwind(panic)
        });
    };
    corpus.iter().for_each(|input| attempt(input));
    let time = std::env::var("HOOKYARD_FUZZ_SECONDS").ok();
    let time = time.map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut chance = Chance(time.map_or(1, |_| since_1970.subsec_nanos().into()));
    let (begin, mut runs) = (Instant::now(), 0);
    while time.map_or(runs < RUNS, |time| begin.elapsed() < time) {
        attempt(&chance.input(&corpus));
        runs += 1;
    }
    println!("{name}: {runs} inputs in {:?}", begin.elapsed());
}

/// Takes back what `escape_ascii` did.
fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        let escape = if byte == b'\\' { rest.next() } else { None };
        bytes.push(match escape {
            None => byte,
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                hex::decode(digits).unwrap()[0]
            }
            Some(itself) => itself,
        });
    }
    bytes
}

/// SplitMix64: enough for the purpose.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed >> 33) % (end.max(1) as u64)).unwrap()
    }

    /// A stretch of a text of that length.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        from..from + self.below((length - from).min(16) + 1)
    }

    fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(CHANGES) {
            let at = self.range(input.len());
            match self.below(6) {
                0 => drop(input.drain(at)),
                1 => input.truncate(at.end),
                2 => input.insert(at.start, TELLING[self.below(TELLING.len())]),
                3 => {
                    let bit = 1 << self.below(8);
                    input.iter_mut().skip(at.start).take(1).for_each(|byte| *byte ^= bit);
                }
                4 => {
                    let again = input[at.clone()].repeat(1 + self.below(4));
                    drop(input.splice(at.end..at.end, again));
                }
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let piece = other[self.range(other.len())].to_vec();
                    drop(input.splice(at, piece));
                }
            }
        }
        input
    }
}

#[test]
fn an_input_is_kept_as_it_is_printed() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(unescaped(&all.escape_ascii().to_string()), all);
}
