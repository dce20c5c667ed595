//! How soon the kernel gives a thread its core. Beside guests that compute without end, it is this
//! that keeps the latency of all others (`bench/run`, *Bad company*).

#![expect(unsafe_code, reason = "no crate has a safe way to set a thread's slice")]

use std::io;
use std::time::Duration;

use rustix::process::getpriority_process;

/// For how long a prompt thread has its core at a time. One that wakes takes the core from a thread
/// whose slice is longer, since its turn ends sooner (Linux 6.12 and later:
/// <https://docs.kernel.org/scheduler/sched-eevdf.html>). Shares of the cores do not depend on it.
const PROMPT: Duration = Duration::from_micros(100);
/// The system's own slice.
const USUAL: Duration = Duration::ZERO;

/// How much nicer a patient thread is: beside another that wants all of a core, it gets a quarter.
const NICER: i32 = 5;

/// This thread runs soon after it has something to do.
pub fn be_prompt() {
    tell(schedule(0, PROMPT));
}

/// This thread leaves its core to others, and gets less of it beside them.
pub fn be_patient() {
    tell(schedule(NICER, USUAL));
}

/// A system that does not know it, or forbids it, schedules as it pleases.
fn tell(scheduled: io::Result<()>) {
    if let Err(error) = scheduled {
        tracing::debug!(%error, "a thread is scheduled like any other");
    }
}

/// Makes this thread so much nicer, and gives it that slice.
fn schedule(nicer: i32, slice: Duration) -> io::Result<()> {
    let nice = getpriority_process(None)?;
    let attributes = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0),
        sched_policy: 0,
        // Whoever started hookyard may have chosen one.
        sched_flags: libc::SCHED_FLAG_KEEP_POLICY as u64,
        sched_nice: nice.saturating_add(nicer),
        sched_priority: 0,
        sched_runtime: u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX),
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the call reads `size` bytes of the attributes, which live until it returns, and
    // changes nothing but how the calling thread is scheduled.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    const NICEST: i32 = 19;

    /// This thread's slice in nanoseconds, and how nice it is, if this kernel tells.
    fn scheduled() -> (Option<u64>, i32) {
        let told = fs::read_to_string("/proc/thread-self/sched").unwrap_or_default();
        let slice = told.lines().find_map(|line| line.strip_prefix("se.slice"));
        let slice = slice.and_then(|rest| rest.trim_start_matches([' ', ':']).parse().ok());
        (slice, getpriority_process(None).unwrap())
    }

    #[test]
    fn a_prompt_thread_has_short_slices_and_a_patient_one_is_nicer() {
        thread::spawn(|| {
            let (usual, nice) = scheduled();
            schedule(0, PROMPT).unwrap();
            assert_eq!(scheduled(), (usual.map(|_| PROMPT.as_nanos() as u64), nice));
            schedule(NICER, USUAL).unwrap();
            assert_eq!(scheduled(), (usual, (nice + NICER).min(NICEST)));
        })
        .join()
        .unwrap();
    }
}
