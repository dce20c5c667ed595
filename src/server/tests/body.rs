use std::convert::Infallible;

use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::{Full, StreamBody};
use tokio::sync::mpsc;

use super::*;

const RATE: Rate = Rate { bytes_per_second: 10 };
/// What [`RATE`] asks for in [`PATIENCE`].
const QUOTA: usize = 50;

fn plenty() -> Budget {
    Budget::new(1 << 30)
}

fn frames(frames: &[&'static [u8]]) -> impl Body<Data = Bytes> {
    let frames = frames.iter().map(|data| Frame::data(Bytes::from_static(data)));
    StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>).collect::<Vec<_>>()))
}

async fn bytes(
    body: impl Body<Data = Bytes>,
    length: Option<u64>,
    limit: usize,
) -> Result<Bytes, BodyError> {
    Ok(read(body, length, limit, RATE, &plenty()).await?.bytes)
}

#[tokio::test]
async fn bodies_arrive_whole() {
    assert_eq!(bytes(frames(&[]), None, 10).await.unwrap(), "");
    assert_eq!(bytes(frames(&[b"hello"]), Some(5), 10).await.unwrap(), "hello");
    assert_eq!(bytes(frames(&[b"he", b"", b"llo", b"!"]), None, 6).await.unwrap(), "hello!");
}

#[tokio::test]
async fn one_frame_is_not_copied() {
    let sent = Bytes::from(vec![7; 100]);
    let read = bytes(Full::new(sent.clone()), Some(100), 100).await.unwrap();
    assert_eq!(read.as_ptr(), sent.as_ptr());
}

#[tokio::test]
async fn a_promise_sets_little_memory_aside() {
    let body = frames(&[b"he", b"llo"]);
    let read = bytes(body, Some(1 << 30), 1 << 30).await.unwrap();
    let many = read.try_into_mut().unwrap();
    assert!(many.capacity() <= FIRST_ROOM);
}

#[tokio::test]
async fn the_limit_is_the_last_byte_allowed() {
    assert!(bytes(frames(&[b"hell", b"o"]), None, 5).await.is_ok());
    assert_eq!(bytes(frames(&[b"hell", b"o"]), None, 4).await, Err(BodyError::TooLarge));
    assert_eq!(bytes(frames(&[b"hello"]), None, 4).await, Err(BodyError::TooLarge));
}

#[tokio::test]
async fn a_promise_over_the_limit_is_refused_unread() {
    let never = || StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let refused = bytes(never(), Some(11), 10).now_or_never();
    assert_eq!(refused, Some(Err(BodyError::TooLarge)));
    assert_eq!(bytes(never(), Some(u64::MAX), 10).now_or_never(), refused);
    assert_eq!(bytes(never(), Some(10), 10).now_or_never(), None);
}

#[tokio::test]
async fn a_broken_body_is_said_to_be() {
    let broken = stream::iter([Ok(Frame::data(Bytes::from("he"))), Err("gone")]);
    assert_eq!(bytes(StreamBody::new(broken), Some(5), 10).await, Err(BodyError::Broken));
}

#[tokio::test]
async fn the_budget_is_charged_as_bytes_arrive_and_freed_at_the_end() {
    let budget = Budget::new(10);
    let (sender, body) = channel();
    let mut reading = pin!(read(body, Some(10), 10, RATE, &budget));
    assert!(reading.as_mut().now_or_never().is_none());
    assert_eq!(budget.left(), 10, "a promise takes nothing");
    sender.send(Bytes::from("hello")).unwrap();
    assert!(reading.as_mut().now_or_never().is_none());
    assert_eq!(budget.left(), 5);
    sender.send(Bytes::from("world")).unwrap();
    drop(sender);
    let Held { bytes, reservation } = reading.await.unwrap();
    assert_eq!(bytes, "helloworld");
    drop(bytes);
    assert_eq!(budget.left(), 0, "kept as long as the reservation");
    drop(reservation);
    assert_eq!(budget.left(), 10);
}

#[tokio::test]
async fn beyond_the_budget_nothing_is_kept() {
    let budget = Budget::new(5);
    let held = read(frames(&[b"he", b"llo"]), None, 10, RATE, &budget).await.unwrap();
    let over = read(frames(&[b"x"]), None, 10, RATE, &budget).await;
    assert_eq!(over.unwrap_err(), BodyError::OverBudget);
    drop(held);
    let over = read(frames(&[b"hello", b"!"]), None, 10, RATE, &budget).await;
    assert_eq!(over.unwrap_err(), BodyError::OverBudget);
    assert_eq!(budget.left(), 5);
}

fn channel() -> (mpsc::UnboundedSender<Bytes>, impl Body<Data = Bytes>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let frames =
        stream::unfold(
            receiver,
            |mut receiver| async move { Some((receiver.recv().await?, receiver)) },
        );
    let frames = frames.map(|data| Ok::<_, Infallible>(Frame::data(data)));
    (sender, StreamBody::new(Box::pin(frames)))
}

/// Sends so many bytes after each pause, then nothing more for ever. The result,
/// and the milliseconds that it took.
async fn paced(bytes: usize, pause: u64, times: usize) -> (Result<usize, BodyError>, u128) {
    let (sender, body) = channel();
    let start = Instant::now();
    let sending = async move {
        for _ in 0..times {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            sender.send(Bytes::from(vec![0; bytes])).unwrap();
        }
        std::future::pending::<()>().await;
    };
    let budget = plenty();
    tokio::select! {
        biased;
        () = sending => unreachable!(),
        read = read(body, None, usize::MAX, RATE, &budget) => {
            (read.map(|held| held.bytes.len()), start.elapsed().as_millis())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_borne_for_so_long() {
    assert_eq!(paced(0, 0, 0).await, (Err(BodyError::TooSlow), 5000));
    assert_eq!(paced(QUOTA, 1000, 1).await, (Err(BodyError::TooSlow), 6000));
}

#[tokio::test(start_paused = true)]
async fn so_is_a_speed_below_the_rate() {
    assert_eq!(paced(1, 1000, 100).await, (Err(BodyError::TooSlow), 5000));
    assert_eq!(paced(9, 1000, 100).await, (Err(BodyError::TooSlow), 5000));
}

#[tokio::test(start_paused = true)]
async fn the_rate_itself_is_enough() {
    let (result, took) = paced(10, 999, 100).await;
    assert_eq!(result, Err(BodyError::TooSlow));
    assert_eq!(took, 100 * 999 + 5000, "only the silence at the end is too slow");
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_anything_will_do() {
    let (sender, body) = channel();
    tokio::spawn(async move {
        for _ in 0..10 {
            tokio::time::sleep(PATIENCE - Duration::from_millis(1)).await;
            sender.send(Bytes::from("x")).unwrap();
        }
    });
    let rate = Rate { bytes_per_second: 0 };
    let held = read(body, None, 10, rate, &plenty()).await.unwrap();
    assert_eq!(held.bytes.len(), 10);
}
