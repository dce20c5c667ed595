//! Hot reload: files that changed become the next snapshot, on a thread of its own.

mod folders;
mod load;
mod look;

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use self::folders::Folders;
use self::look::Seen;
use crate::config::Config;
use crate::reload::Asks;

pub use self::load::{Loader, Shared, guard};

/// Files are loaded when this long all looks saw the same, so that nothing half-written is.
const SETTLE: Duration = Duration::from_millis(125);

/// How long to wait before a look, since changes come in crowds.
const BREATH: Duration = Duration::from_millis(5);

/// How often files are looked at although the system told nothing: not every file system does.
const LOOK: Duration = Duration::from_secs(2);

/// Starts the thread, which loads a first time. What it gives resolves when that is done; it ends
/// when nobody can ask any more.
///
/// # Errors
/// The system gives no thread, or no clock for it.
pub fn start(loader: Loader, config: Config, asks: Asks) -> io::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (loaded, first) = oneshot::channel();
    thread::Builder::new().name("watch".to_owned()).spawn(move || {
        runtime.block_on(async {
            let mut loader = loader;
            loader.first(config).await;
            // Nobody waits when the start was given up.
            let _given_up = loaded.send(());
            watch(loader, asks).await;
        });
    })?;
    Ok(first)
}

async fn watch(mut loader: Loader, mut asks: Asks) {
    let mut folders = Folders::new();
    // What was seen last, and when it has settled.
    let mut settling: Option<(Seen, Instant)> = None;
    loop {
        folders.watch(&loader.folders());
        let look_again = settling.as_ref().map_or_else(|| Instant::now() + LOOK, |(_, at)| *at);
        let ask = tokio::select! {
            biased;
            ask = asks.recv() => match ask {
                Some(reply) => Some(reply),
                None => return,
            },
            () = sleep_until(look_again) => None,
            () = folders.touched() => None,
        };
        if let Some(reply) = ask {
            let report = loader.reload(true).await;
            // Whoever asked may have gone.
            let _gone = reply.send(report);
            settling = None;
            continue;
        }
        sleep(BREATH).await;
        let now = loader.look();
        settling = match settling {
            Some((before, at)) if before == now && Instant::now() < at => Some((before, at)),
            Some((before, _)) if before == now => {
                if loader.differs_from(&now) || loader.wants_another_try() {
                    loader.reload(false).await;
                }
                None
            }
            _ => Some((now, Instant::now() + SETTLE)),
        };
    }
}
