//! The floor: a file to which the same bytes are appended, and synced, in groups. It finds nothing
//! again, and starts with reading everything.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use async_channel::{Receiver, Sender};
use hookyard::event::Event;
use tokio::sync::{mpsc, oneshot};

use crate::load::Store;

/// Operations in one commit at the most, as the ledger's.
const COMMIT_OPERATIONS: usize = 1_024;
/// Bytes of a row that says that a delivery is done.
const DONE_BYTES: usize = 80;

enum Operation {
    Append(Vec<u8>, oneshot::Sender<()>),
    Done,
}

pub struct BareLog {
    events: Vec<Event>,
    waiting: mpsc::UnboundedSender<Operation>,
    due: Receiver<()>,
    done: Arc<AtomicU64>,
}

impl BareLog {
    pub fn start(folder: &Path, events: Vec<Event>) -> Self {
        let file = File::create(folder.join("log")).expect("a file");
        let (waiting, waits) = mpsc::unbounded_channel();
        let (to_consumer, due) = async_channel::unbounded();
        let done = Arc::<AtomicU64>::default();
        let counted = done.clone();
        thread::spawn(move || write(file, waits, &to_consumer, &counted));
        Self { events, waiting, due, done }
    }
}

impl Store for BareLog {
    async fn append(&self, n: u64) {
        let event = &self.events[n as usize % self.events.len()];
        // Number, key and time; the rest is the event's.
        let mut record = vec![0; 8 + 16 + 8];
        for part in [event.source().as_bytes(), event.kind().as_bytes(), event.headers().as_bytes()]
        {
            record.extend(part);
        }
        record.extend(event.body());
        let (reply, durable) = oneshot::channel();
        self.waiting.send(Operation::Append(record, reply)).expect("a writer");
        durable.await.expect("an answer");
    }

    fn consume(&self) {
        while self.due.recv_blocking().is_ok() {
            self.waiting.send(Operation::Done).expect("a writer");
        }
    }

    fn close(&self) {
        self.due.close();
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

fn write(
    mut file: File,
    mut waits: mpsc::UnboundedReceiver<Operation>,
    due: &Sender<()>,
    done: &AtomicU64,
) {
    let (mut batch, mut bytes) = (Vec::new(), Vec::new());
    while waits.blocking_recv_many(&mut batch, COMMIT_OPERATIONS) > 0 {
        bytes.clear();
        for operation in &batch {
            match operation {
                Operation::Append(record, _) => bytes.extend(record),
                Operation::Done => bytes.extend([0; DONE_BYTES]),
            }
        }
        file.write_all(&bytes).expect("a disk");
        file.sync_data().expect("a disk");
        for operation in batch.drain(..) {
            match operation {
                Operation::Append(_, reply) => {
                    let _gone = reply.send(());
                    let _closed = due.try_send(());
                }
                Operation::Done => {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}
