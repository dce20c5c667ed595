//! HTTP/2 with prior knowledge, frame by frame.

use super::*;
use crate::server::{HEADER_FIELDS, HTTP2_STREAMS};

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
/// The header block of a bare 200 begins with this index of HPACK's static table.
const STATUS_200: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    let mut field = vec![0, length(name)];
    field.extend(name.bytes());
    field.push(length(value));
    field.extend(value.bytes());
    field
}

fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

/// A GET with so many fields beside the four that every request has.
fn get(stream: u32, fields: usize) -> Vec<u8> {
    let mut block = [
        field(":method", "GET"),
        field(":scheme", "http"),
        field(":path", "/"),
        field(":authority", "a"),
    ]
    .concat();
    block.extend(field("x", "y").repeat(fields));
    frame(HEADERS, 0b101, stream, &block)
}

impl Client<TcpStream> {
    /// The payload of the next frame of that kind.
    async fn next(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let mut head = [0; 9];
            soon(self.0.read_exact(&mut head)).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            soon(self.0.read_exact(&mut payload)).await.unwrap();
            if head[3] == wanted {
                return payload;
            }
        }
    }
}

#[tokio::test]
async fn requests_are_answered_and_streams_limited() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    client.send(preface()).await;
    let settings = client.next(SETTINGS).await;
    let streams = HTTP2_STREAMS.to_be_bytes();
    let announced = [&[0, 3], &streams[..]].concat();
    assert!(settings.chunks(6).any(|setting| setting == announced));
    for stream in [1, 3] {
        client.send(get(stream, 0)).await;
        assert_eq!(client.next(HEADERS).await[0], STATUS_200);
    }
}

#[tokio::test]
async fn too_many_fields_are_refused() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    client.send(preface()).await;
    client.send(get(1, HEADER_FIELDS)).await;
    assert_eq!(client.next(HEADERS).await[0], STATUS_200);
    client.send(get(3, HEADER_FIELDS + 1)).await;
    assert_ne!(client.next(HEADERS).await[0], STATUS_200);
    client.send(get(5, 0)).await;
    assert_eq!(client.next(HEADERS).await[0], STATUS_200);
}

#[tokio::test]
async fn the_first_request_is_owed_soon() {
    let limits = Limits { header_timeout: SHORT, idle_timeout: 100 * LONG, ..Limits::DEFAULT };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send(preface()).await;
    client.next(GOAWAY).await;
    client.rest().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = Limits { header_timeout: 100 * LONG, idle_timeout: SHORT, ..Limits::DEFAULT };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send(preface()).await;
    client.send(get(1, 0)).await;
    assert_eq!(client.next(HEADERS).await[0], STATUS_200);
    client.next(GOAWAY).await;
    client.rest().await;
}

#[tokio::test]
async fn draining_finishes_what_was_begun() {
    let server = Server::start(Limits::DEFAULT).await;
    let mut client = server.connect().await;
    client.send(preface()).await;
    client.send(get(1, 0)).await;
    assert_eq!(client.next(HEADERS).await[0], STATUS_200);
    let done = server.stop();
    client.next(GOAWAY).await;
    drop(client);
    assert_eq!(soon(done).await.unwrap(), 0);
}
