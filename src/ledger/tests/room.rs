//! A disk with too little free space, and files that no event owns.

use super::*;

const LARGE: usize = 300 * 1024;

#[tokio::test]
async fn on_a_disk_that_is_nearly_full_events_are_refused_and_settled() {
    let store = Store::new();
    store.append("before", None, &["r"]).await.unwrap();
    let Store { ledger, folder, .. } = store;
    drop(ledger);
    let options = Options { min_free: u64::MAX, ..options(folder.path()) };
    let store = Store::with(folder, &options, Stamps::start());
    assert_eq!(store.ledger.problem(), Some(Problem::Full));
    for body in ["small", &"x".repeat(LARGE)] {
        assert_eq!(store.append(body, None, &["r"]).await, Err(AppendError::Unavailable));
    }
    assert_eq!(files(&store.path("bodies")), [] as [PathBuf; 0]);
    let lease = store.lease().await;
    store.ack(lease);
    store.until("done", 1).await;
    assert!(store.metrics.free_bytes.get() > 0);
}

#[tokio::test]
async fn what_a_crash_left_in_the_folder_of_bodies_is_swept_at_the_next_start() {
    let store = Store::new();
    let receipt = store.append(&"x".repeat(LARGE), None, &["r"]).await.unwrap();
    let orphan = store.path("bodies").join("01ARZ3NDEKTSV4RRFFQ69G5FAV");
    fs::write(&orphan, "written, and never committed").unwrap();
    let store = store.crash();
    until("the orphan to be gone", || files(&store.path("bodies")).len() == 1).await;
    let (_, event) = store.ledger.reader().show(receipt.id).unwrap();
    assert_eq!(event.body().len(), LARGE);
}
