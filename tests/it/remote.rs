//! A server that handlers send requests to, on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::yard::PATIENCE;

/// What the server saw of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The first line.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it was on the wire, chunks and all.
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "{name} twice");
        value
    }
}

/// What happened to the server.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Request(Request),
    /// The other side closed a connection.
    Closed,
}

/// A server that gives every request the same answer, on one connection or several.
pub struct Remote {
    pub address: SocketAddr,
    seen: Receiver<Seen>,
}

impl Remote {
    pub fn start(answer: &str) -> Self {
        Self::with(answer.as_bytes().to_vec(), |_| {})
    }

    /// After its answer, it does this with the connection.
    pub fn with(answer: Vec<u8>, then: impl Fn(&mut dyn Write) + Clone + Send + 'static) -> Self {
        Self::accept(move |stream, tell| serve(stream, &answer, &then, tell))
    }

    /// One whose address somebody else has chosen.
    pub fn on(listener: TcpListener, answer: String) -> Self {
        let answer = move |stream, tell: &_| serve(stream, answer.as_bytes(), |_| {}, tell);
        Self::accept_on(listener, answer)
    }

    /// One that speaks TLS as `localhost`, and its certificate, PEM.
    pub fn tls(answer: String) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let remote = Self::accept(move |stream, tell| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            serve(StreamOwned::new(connection, stream), answer.as_bytes(), |_| {}, tell);
        });
        (remote, made.cert.pem())
    }

    fn accept(serve: impl Fn(TcpStream, &Sender<Seen>) + Clone + Send + 'static) -> Self {
        Self::accept_on(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
    }

    fn accept_on(
        listener: TcpListener,
        serve: impl Fn(TcpStream, &Sender<Seen>) + Clone + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (tell, seen) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tell, serve) = (tell.clone(), serve.clone());
                thread::spawn(move || serve(stream, &tell));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request.
    pub fn next(&self) -> Request {
        match self.seen.recv_timeout(PATIENCE).unwrap() {
            Seen::Request(request) => request,
            Seen::Closed => panic!("closed instead of a request"),
        }
    }

    /// All requests up to the one that is the last.
    pub fn requests(&self, is_last: impl Fn(&Request) -> bool) -> Vec<Request> {
        let mut requests = Vec::new();
        while !requests.last().is_some_and(&is_last) {
            if let Seen::Request(request) = self.seen.recv_timeout(PATIENCE).unwrap() {
                requests.push(request);
            }
        }
        requests
    }

    /// Waits until the other side closes a connection.
    pub fn closed(&self) {
        assert_eq!(self.seen.recv_timeout(PATIENCE).unwrap(), Seen::Closed);
    }

    /// Nothing more has come in.
    pub fn is_quiet(&self) -> bool {
        self.seen.try_recv().is_err()
    }
}

/// A plain answer.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn serve(
    stream: impl Read + Write,
    answer: &[u8],
    then: impl Fn(&mut dyn Write),
    tell: &Sender<Seen>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        // Whoever listens may have gone, and whoever asked.
        let told = tell.send(Seen::Request(request));
        let to = stream.get_mut();
        if told.is_err() || to.write_all(answer).and_then(|()| to.flush()).is_err() {
            break;
        }
        then(to);
    }
    let _gone = tell.send(Seen::Closed);
}

/// One request; `None` at the end.
fn read(from: &mut impl BufRead) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.strip_suffix("\r\n").unwrap() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let line = lines.remove(0);
    let field = |line: &String| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let mut request =
        Request { line, headers: lines.iter().map(field).collect(), body: String::new() };
    if let Some(length) = request.header("content-length") {
        let length = length.parse().unwrap();
        from.take(length).read_to_string(&mut request.body).ok()?;
    } else if request.header("transfer-encoding").is_some() {
        while !(request.body == "0\r\n\r\n" || request.body.ends_with("\r\n0\r\n\r\n")) {
            if from.read_line(&mut request.body).ok()? == 0 {
                return None;
            }
        }
    }
    Some(request)
}
