//! Why a guest broke, in its language's own words: what its runtime tells on stderr before it gives
//! up. The engine knows only that it did.

/// Python's last line but for that of the runtime around it, which tells nothing.
const PYTHON_GAVE_UP: &str = "Python function threw an unexpected exception";

/// The words, found line by line. What comes later is nearer to the end, and counts.
#[derive(Debug, Default)]
pub struct LastWords {
    before: Before,
    found: Option<String>,
}

/// What the lines before announce.
#[derive(Debug, Default)]
enum Before {
    /// A line that may turn out to be a message.
    Line(String),
    /// Rust: a panic there, whose message comes next.
    RustPanic(String),
    /// Python: the exception comes after the frames, which are indented.
    PythonFrames,
    /// Go: a panic, if its stack follows.
    GoPanic(String),
    #[default]
    Nothing,
}

impl LastWords {
    /// Takes in a line of stderr.
    pub fn hear(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        self.before = match std::mem::take(&mut self.before) {
            Before::RustPanic(_) if line == PYTHON_GAVE_UP => Before::Nothing,
            Before::RustPanic(place) => self.find(format!("{line}, at {place}")),
            Before::PythonFrames if line.starts_with(' ') => Before::PythonFrames,
            Before::PythonFrames => self.find(line.to_owned()),
            Before::GoPanic(message) if is_go_stack(line) => self.find(message),
            // A signal, or a panic within one, stands between.
            Before::GoPanic(message) if line.starts_with(['[', '\t']) => Before::GoPanic(message),
            // JavaScript: the message comes before.
            Before::Line(message) if line == "Stack:" => self.find(message),
            _ => announced(line),
        };
    }

    fn find(&mut self, words: String) -> Before {
        self.found = Some(words);
        Before::Nothing
    }

    /// The words, if a runtime said any.
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }
}

fn announced(line: &str) -> Before {
    if line == "Traceback (most recent call last):" {
        return Before::PythonFrames;
    }
    let panicked = line.strip_prefix("thread ").and_then(|rest| rest.split_once(" panicked at "));
    match panicked.and_then(|(_, place)| place.strip_suffix(':')) {
        Some(place) => Before::RustPanic(place.to_owned()),
        None if is_go_panic(line) => Before::GoPanic(line.to_owned()),
        None => Before::Line(line.to_owned()),
    }
}

fn is_go_panic(line: &str) -> bool {
    line.starts_with("panic: ") || line.starts_with("fatal error: ")
}

fn is_go_stack(line: &str) -> bool {
    line.starts_with("goroutine ") && line.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        let mut words = LastWords::default();
        text.lines().for_each(|line| words.hear(line));
        words.found().map(str::to_owned)
    }

    #[test]
    fn each_language_says_in_its_own_way_why_it_breaks() {
        for (text, expected) in [
            (
                "thread '<unnamed>' (1) panicked at src/lib.rs:9:5:\nthe roof\nnote: run with `RUST_",
                "the roof, at src/lib.rs:9:5",
            ),
            (
                "Traceback (most recent call last):\n  File \"/0/app.py\", line 30, in handle\n    \
                 raise X\nRuntimeError: by python\nthread '<unnamed>' (1) panicked at \
                 runtime/src/lib.rs:1280:25:\nPython function threw an unexpected exception\n",
                "RuntimeError: by python",
            ),
            (
                "Traceback (most recent call last):\n  File\nKeyError: 1\n\nDuring handling of the \
                 above exception, another exception occurred:\n\nTraceback (most recent call \
                 last):\n  File\nValueError: 2\n",
                "ValueError: 2",
            ),
            (
                "thrown by js\nStack:\n  handle@source.js:24:27\nRedirecting call to abort()",
                "thrown by js",
            ),
            (
                "panic: runtime error: index out of range [2] with length 0\n\ngoroutine 1 \
                 [running]:\nmain.pick(...)\n\t/x/main.go:21\n",
                "panic: runtime error: index out of range [2] with length 0",
            ),
            (
                "panic: one [recovered]\n\tpanic: two\n\ngoroutine 1 [running]:\nmain.main()\n",
                "panic: one [recovered]",
            ),
            (
                "panic: nil pointer dereference\n[signal 0xb]\n\ngoroutine 1 [running]:\n",
                "panic: nil pointer dereference",
            ),
            (
                "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [select]:\n",
                "fatal error: all goroutines are asleep - deadlock!",
            ),
        ] {
            assert_eq!(found(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_lines_are_no_last_words() {
        for text in [
            "",
            "hello\nworld",
            "Stack:",
            "panic: only a word\nall is well",
            "Traceback (most recent call last):\n  File\n    cut off",
            "thread 'x' panicked at src/lib.rs:1:1:",
            "goroutine 1 [running]:",
            "panic: only a word\nall is well\ngoroutine 1 [running]:",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_told_last_counts() {
        let python = "Traceback (most recent call last):\n  File\nKeyError: handled\n";
        let rust = "thread 'main' panicked at src/main.rs:1:1:\nboom\n";
        assert_eq!(found(&format!("{python}{rust}")).unwrap(), "boom, at src/main.rs:1:1");
    }
}
