//! What all hosts of `wasi:http` run: reads a hotglue job's JSON, and answers with a line on it.

use serde::Deserialize;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;

#[derive(Deserialize)]
struct Job {
    job_id: String,
    status: String,
}

struct Server;

wasip2::http::proxy::export!(Server);

impl Guest for Server {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let (status, text) = match serde_json::from_slice(&read(&request)) {
            Ok(Job { job_id, status }) => (200, format!("{job_id} {status}")),
            Err(error) => (400, error.to_string()),
        };
        respond(status, &text, out);
    }
}

fn read(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().expect("a body");
    let stream = body.stream().expect("a stream");
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(more) if bytes.is_empty() => bytes = more,
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return bytes,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn respond(status: u16, text: &str, out: ResponseOutparam) {
    let headers = Fields::new();
    let length = text.len().to_string();
    for (name, value) in [("content-type", "text/plain"), ("content-length", &length)] {
        headers.append(name, value.as_bytes()).expect("a header");
    }
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("a body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("a stream");
    stream.blocking_write_and_flush(text.as_bytes()).expect("somebody who reads");
    drop(stream);
    OutgoingBody::finish(body, None).expect("an end");
}
