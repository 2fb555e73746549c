//! A server that answers as a test says, and remembers what came.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use serde_json::Value;

/// A decision in which nothing is said.
const DECISION: &str = r#"{"outcome":"allow","score":0,"hits":[],"alerts":[],"flags":[]}"#;
/// An amendment that was new.
const AMENDED: &str = r#"{"repeated":false}"#;

/// How a request is answered.
#[derive(Clone, Copy)]
pub(super) enum Reply {
    /// As if all were well.
    Well,
    /// With this status, a problem document, and after how many seconds to come again.
    Problem(u16, &'static str, Option<u32>),
    /// Not at all: the connection ends.
    Broken,
}

/// A request that came.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// The number of its connection.
    pub(super) connection: usize,
    pub(super) path: String,
    pub(super) deadline: String,
    pub(super) body: Value,
}

/// The server. It ends with the test.
pub(super) struct Stub {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    /// Answers the requests by their numbers: as the table says, and after its end well.
    pub(super) fn start(replies: &'static [Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let all = Arc::clone(&all);
                thread::spawn(move || serve(stream.unwrap(), connection, replies, &all));
            }
        });
        Self { url, seen }
    }

    /// What came so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers until the connection ends, on either side.
fn serve(stream: TcpStream, connection: usize, replies: &[Reply], all: &Mutex<Vec<Seen>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream, connection) {
        let well = if request.path == "/v1/amendments" { AMENDED } else { DECISION };
        let number = {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(request);
            all.len() - 1
        };
        let (status, body, retry_after) = match replies.get(number).copied().unwrap_or(Reply::Well) {
            Reply::Well => (200, well.to_owned(), None),
            Reply::Problem(status, code, retry_after) => {
                (status, format!(r#"{{"code":"{code}","detail":"no"}}"#), retry_after)
            }
            Reply::Broken => return,
        };
        let retry_after = retry_after.map(|it| format!("Retry-After: {it}\r\n")).unwrap_or_default();
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} X\r\n{retry_after}Content-Length: {length}\r\n\r\n{body}");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request; none where the connection has ended.
fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Seen> {
    let (mut head, mut line) = (String::new(), String::new());
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        head += &line;
    }
    let at = Instant::now();
    let header = |name: &str| {
        let named = |line: &&str| line.to_ascii_lowercase().starts_with(name);
        head.lines().find(named).and_then(|it| it.split_once(": ")).map(|it| it.1.to_owned())
    };
    let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let deadline = header("weir-deadline").unwrap();
    Some(Seen { at, connection, path, deadline, body: serde_json::from_slice(&body).unwrap() })
}
