//! The real program, in a folder of its own, on ports of its own.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that a test waits for. Reached only by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A folder with router.toml and plugins, and the program running in it.
pub struct Yard {
    pub folder: TempDir,
    /// What the program finds in its environment, beside the test's own.
    pub environment: Vec<(&'static str, PathBuf)>,
    running: Option<Running>,
}

struct Running {
    child: Child,
    announced: Vec<String>,
    public: SocketAddr,
    admin: SocketAddr,
}

/// An answer, as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// Reads one answer; what follows it on the connection stays there.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut head)? == 0 {
                let head = String::from_utf8_lossy(&head);
                let what = format!("no answer: {head:?}");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Self { status, headers, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        answer.body = String::from_utf8(body).unwrap();
        Ok(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Yard {
    /// A yard in which nothing runs yet. `config` is what router.toml says beside its addresses.
    pub fn new(config: &str) -> Self {
        let yard =
            Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new(), running: None };
        fs::create_dir(yard.path("plugins")).unwrap();
        yard.configure(config);
        yard
    }

    /// A yard with these plugins, running.
    pub fn start(config: &str, plugins: &[(&str, &str)]) -> Self {
        let mut yard = Self::new(config);
        for (name, text) in plugins {
            yard.plugin(&format!("{name}.wat"), text);
        }
        yard.run();
        yard
    }

    /// Writes router.toml: `[server]` gets free ports, and whatever `config` begins with. However
    /// full the disk, tests go on, unless they are about that.
    pub fn configure(&self, config: &str) {
        let server = "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";
        let min_free = if config.contains("min_free") { "" } else { "min_free = 0\n" };
        let text = format!("{server}{min_free}{config}");
        fs::write(self.path("router.toml"), text).unwrap();
    }

    pub fn plugin(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path("plugins").join(file), bytes).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program's command line, in the yard's folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookyard"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts `serve`, and waits until it listens.
    pub fn run(&mut self) {
        let log = fs::File::options().append(true).create(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["serve"]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let announced: Vec<String> =
            BufReader::new(out).lines().take(2).map(Result::unwrap).collect();
        let addresses: Vec<SocketAddr> =
            announced.iter().filter_map(|line| line.rsplit('/').next()?.parse().ok()).collect();
        let [public, admin] = addresses[..] else { panic!("it did not start: {}", self.log()) };
        self.running = Some(Running { child, announced, public, admin });
    }

    /// Runs `serve` where it must fail: its exit code and what it says.
    pub fn fails_to_start(&self) -> (Option<i32>, String) {
        let output = self.command(&["serve"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    pub fn public(&self) -> SocketAddr {
        self.running.as_ref().unwrap().public
    }

    pub fn admin(&self) -> SocketAddr {
        self.running.as_ref().unwrap().admin
    }

    /// The lines with which the program told its addresses.
    pub fn announced(&self) -> &[String] {
        &self.running.as_ref().unwrap().announced
    }

    pub fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().child.id()
    }

    /// What the program has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().unwrap();
        assert_eq!(running.child.wait().unwrap().signal(), Some(9));
    }

    /// SIGTERM, and the exit status.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.running.take().unwrap().child.wait().unwrap()
    }

    pub fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args(["-s", signal, &self.pid().to_string()]).status();
        assert!(killed.unwrap().success());
    }

    /// Whether the program has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.running.as_mut().unwrap().child.try_wait().unwrap().is_some()
    }

    /// Waits until the program ends by itself; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        wait("the program to end", || self.has_ended().then_some(()));
        self.running.take().unwrap().child.wait().unwrap().code()
    }

    /// Posts a body with these headers, on a connection of its own.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        post(self.public(), path, headers, body).unwrap()
    }

    /// Posts a body as hotglue does, signed with that secret.
    pub fn hotglue(&self, secret: &str, body: &str) -> Answer {
        let signature = hotglue_signature(secret, body.as_bytes());
        self.post("/hooks/hotglue", &[("X-Hub-Signature", &signature)], body.as_bytes())
    }

    /// Sends these bytes to the public side as they are, and reads until the other side closes.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = connect(self.public());
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is an end too.
        let _end = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Asks the admin side.
    pub fn ask(&self, path: &str) -> Answer {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        exchange(self.admin(), request.as_bytes()).unwrap()
    }

    /// Sends the admin side a request without a body.
    pub fn admin_request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("content-length: 0\r\nconnection: close\r\n\r\n");
        exchange(self.admin(), request.as_bytes()).unwrap()
    }

    /// `POST /api/v1/reload`, and its report.
    pub fn reload(&self) -> Value {
        let json = [("content-type", "application/json")];
        let answer = self.admin_request("POST", "/api/v1/reload", &json);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// All that is known of an event.
    pub fn event(&self, id: &str) -> Value {
        self.ask(&format!("/api/v1/events/{id}")).json()
    }

    /// Waits until an event's deliveries are all in that state; gives the event.
    pub fn until(&self, id: &str, state: &str) -> Value {
        wait(&format!("{id} to be {state}"), || {
            let event = self.event(id);
            let deliveries = event["deliveries"].as_array()?;
            let all = deliveries.iter().all(|delivery| delivery["state"] == state);
            (all && !deliveries.is_empty()).then_some(event)
        })
    }

    /// Waits until every delivery of an event has been tried or parked; gives the event.
    pub fn tried(&self, id: &str) -> Value {
        wait("the first attempts", || {
            let event = self.event(id);
            let mut all = event["deliveries"].as_array()?.iter();
            let all = all.all(|one| one["state"] == "parked" || one["attempts"][0].is_object());
            all.then_some(event)
        })
    }

    /// One sample of the metrics, 0 when there is none.
    pub fn metric(&self, sample: &str) -> f64 {
        let page = self.ask("/metrics").body;
        let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a sample of the metrics has that value.
    pub fn reads(&self, sample: &str, value: f64) {
        wait(&format!("{sample} to be {value}"), || (self.metric(sample) == value).then_some(()));
    }

    /// Waits until so many deliveries are done, so many are dead, and no other is there.
    pub fn settled(&self, done: usize, dead: usize) {
        let all = format!("{done} deliveries to be done, {dead} dead, and no other to be there");
        let counts = [("done", done), ("dead", dead), ("pending", 0), ("leased", 0), ("parked", 0)];
        wait(&all, || {
            let page = self.ask("/metrics").body;
            let is_so = |(state, count): &(&str, usize)| {
                let line = format!("hookyard_deliveries{{state=\"{state}\"}} {count}");
                page.lines().any(|found| found == line)
            };
            counts.iter().all(is_so).then_some(())
        });
    }

    /// Resident memory of the program, in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ended = running.child.kill();
            let _status = running.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the program's log:\n{}", self.log());
        }
    }
}

/// Waits until the look gives something.
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let by = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < by, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

/// The header in which hotglue signs a body.
pub fn hotglue_signature(secret: &str, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// The wasm of the guest `probe`, built once.
pub fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| guest("probe"))
}

/// Builds a guest of `tests/fixtures/handlers` that is written in Rust, and gives its wasm.
pub fn guest(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/fixtures/handlers").join(name);
    let build = Command::new(root.join("plugins/build.sh")).arg(&folder).output().unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    folder.with_extension("wasm")
}

pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Posts a body on a connection of its own.
pub fn post(
    to: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let length = body.len();
    let mut request =
        format!("POST {path} HTTP/1.1\r\nhost: hooks\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("connection: close\r\n\r\n");
    exchange(to, &[request.as_bytes(), body].concat())
}

/// Sends a whole request, and reads its answer.
fn exchange(to: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    Answer::read(&mut BufReader::new(stream))
}
