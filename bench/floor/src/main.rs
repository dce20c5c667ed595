//! What the benchmark's other rows stand on: a server that reads each request's body and answers
//! (`floor PORT`), or has it in an append-only file, and synced, before it does (`floor PORT FILE`).

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::process;
use std::thread;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Bodies that share one sync at the most.
const GROUP: usize = 1_024;

type Entry = (Bytes, oneshot::Sender<()>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let port = arguments.next().context("a port is missing")?.parse::<u16>()?;
    let log = arguments.next().map(File::create).transpose()?.map(start);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let log = log.clone();
        let service = service_fn(move |request| answer(request, log.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    log: Option<mpsc::Sender<Entry>>,
) -> Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    if let Some(log) = log {
        let (synced, wait) = oneshot::channel();
        log.send((body, synced)).await?;
        wait.await?;
    }
    Ok(Response::new(Full::from("ok")))
}

/// A thread that appends what comes in groups.
fn start(file: File) -> mpsc::Sender<Entry> {
    let (sender, entries) = mpsc::channel(GROUP);
    thread::spawn(move || {
        if let Err(error) = append(file, entries) {
            eprintln!("the log cannot be written: {error}");
            process::exit(1);
        }
    });
    sender
}

fn append(mut file: File, mut entries: mpsc::Receiver<Entry>) -> io::Result<()> {
    let (mut group, mut block) = (Vec::new(), Vec::new());
    while entries.blocking_recv_many(&mut group, GROUP) > 0 {
        group.iter().for_each(|(body, _)| block.extend_from_slice(body));
        file.write_all(&block)?;
        file.sync_data()?;
        block.clear();
        for (_, synced) in group.drain(..) {
            let _gone = synced.send(());
        }
    }
    Ok(())
}
