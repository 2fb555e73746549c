//! `weir serve` and `weir keys` from outside: a first start, a decision, a restart that forgets nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::output as weir;

/// A running server, ended when it is dropped.
pub(crate) struct Server {
    process: Child,
    /// Held open: a server whose output nobody reads must not end of it.
    _out: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) address: String,
    /// What it said at the start.
    pub(crate) said: String,
}

impl Server {
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        Self::start_as(Command::new(env!("CARGO_BIN_EXE_weir")), data, more, Stdio::inherit())
    }

    /// Starts the server by a command of which only the arguments are missing, with its log somewhere else.
    fn start_as(mut weir: Command, data: &Path, more: &[&str], log: impl Into<Stdio>) -> Self {
        let mut process = weir
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut said = String::new();
        // The last thing said is the body of the first decision.
        while !said.contains("-d '") {
            let before = said.len();
            out.read_line(&mut said).unwrap();
            assert!(before < said.len(), "the server ended: {said}");
        }
        let address = said.split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        Self { process, _out: out, address, said }
    }

    pub(crate) fn key(&self) -> Option<String> {
        let line = self.said.lines().find_map(|it| it.trim().strip_prefix("export WEIR_API_KEY="))?;
        Some(line.to_owned())
    }

    /// Sends a request; gives the status and the body.
    pub(crate) fn send(&self, method: &str, path: &str, key: &str, body: &str) -> (u16, Value) {
        request(&self.address, method, path, key, body)
    }

    /// What the process takes, in bytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    /// As an operator stops it.
    pub(crate) fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not stop");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a request to an address; gives the status and the body, as a text where it is no JSON.
pub(crate) fn request(address: &str, method: &str, path: &str, key: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nWeir-Deadline: none\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| body.into()))
}

fn login(id: &str) -> String {
    json!({ "id": id, "type": "login", "user": "u1", "channel": "app" }).to_string()
}

/// Whatever collected its log may have ended before it.
#[test]
fn a_server_whose_log_nobody_reads_stops_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, log) = std::io::pipe().unwrap();
    drop(reader);
    let program = Command::new(env!("CARGO_BIN_EXE_weir"));
    let server = Server::start_as(program, folder.path(), &[], log);
    assert_eq!(server.send("GET", "/livez", "", "").0, 200);
    server.stop();
}

/// A build that is under way when the server is told to stop is left, as by a crash.
#[test]
fn a_server_that_builds_state_stops_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--durability", "os"]);
    let key = server.key().unwrap();
    for number in 0..20 {
        assert_eq!(server.send("POST", "/v1/decisions/batch", &key, &batch(number)).0, 200);
    }
    let (_, before) = server.send("GET", "/v1/rules", &key, "");
    let mut files = before["files"].clone();
    let wider = files["wallet.weir"].as_str().unwrap().to_owned();
    files["wallet.weir"] =
        json!(wider + "\nfeature by_shop = count(any) by merchant over 3d\nrecord by_shop\n");
    let (status, job) = server.send("PUT", "/v1/rules", &key, &json!({ "files": files }).to_string());
    assert_eq!((status, &job["state"]), (202, &json!("activating")), "{job}");
    let start = Instant::now();
    let path = format!("/v1/rules/jobs/{}", job["id"]);
    while server.send("GET", &path, &key, "").1["building"].is_null() {
        assert!(start.elapsed() < Duration::from_secs(20), "it is built");
    }
    server.stop();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(server.send("GET", "/v1/rules", &key, "").1["hash"], before["hash"]);
}

/// No file may grow beyond a megabyte or two, as the shell counts: the journal is the first that would.
#[test]
fn a_server_that_cannot_write_its_journal_ends_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_weir")]);
    let mut server = Server::start_as(limited, folder.path(), &[], Stdio::piped());
    let key = server.key().unwrap();
    let refused = (0..40).find_map(|batch| {
        let login = |it| serde_json::from_str::<Value>(&login(&format!("l{batch}-{it}"))).unwrap();
        let events: Vec<Value> = (0..1_000).map(login).collect();
        let (_, answer) =
            server.send("POST", "/v1/decisions/batch", &key, &json!({ "events": events }).to_string());
        answer["results"].as_array().unwrap().iter().find(|it| it["status"] != 200).cloned()
    });
    let refused = refused.expect("the journal grows over its limit");
    assert_eq!(refused["status"], 503, "{refused}");
    assert!(!server.process.wait().unwrap().success());
    let mut said = String::new();
    server.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    for words in ["nothing more was answered: start again", ".segment`: File too large"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn snapshots_without_their_journal_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let key = server.key().unwrap();
    let (_, first) = server.send("POST", "/v1/decisions", &key, &login("l1"));
    server.stop();

    let (journal, away) = (data.join("journal"), folder.path().join("away"));
    std::fs::rename(&journal, &away).unwrap();
    let refused = weir(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("/journal` holds no journal, but the snapshots"),
        "{said}"
    );
    assert_eq!(std::fs::read_dir(&journal).unwrap().count(), 0, "nothing is begun in its place");

    std::fs::remove_dir(&journal).unwrap();
    std::fs::rename(&away, &journal).unwrap();
    let server = Server::start(&data, &[]);
    let (_, again) = server.send("POST", "/v1/decisions", &key, &login("l1"));
    assert_eq!((&again["id"], &again["flags"]), (&first["id"], &json!(["repeated"])));
}

#[test]
fn a_first_start_says_how_to_go_on_and_a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let key = server.key().expect("the admin key is shown at the first start");
    for words in ["durability: fsync", "a starter for a wallet", "/docs/", "curl http://"] {
        assert!(server.said.contains(words), "{words}: {}", server.said);
    }
    // The first decision, as it stands there.
    let event = server.said.split("-d '").nth(1).unwrap().split('\'').next().unwrap();
    let (status, decision) = server.send("POST", "/v1/decisions", &key, event);
    assert_eq!((status, &decision["outcome"], &decision["durable"]), (200, &json!("allow"), &json!(true)));
    let (_, first) = server.send("POST", "/v1/decisions", &key, &login("l1"));

    // A key that is made beside the running server is valid at once.
    let data_text = data.to_str().unwrap();
    let made = weir(&["keys", "create", "--data", data_text, "--role", "analyst", "--name", "Ann"]);
    let made = String::from_utf8(made.stdout).unwrap();
    assert_eq!(made.trim_end().len(), 45, "the key alone: {made:?}");
    assert_eq!(server.send("GET", "/v1/alerts", made.trim(), "").0, 200);
    assert_eq!(server.send("POST", "/v1/decisions", made.trim(), event).0, 403);
    server.stop();

    let server = Server::start(&data, &["--durability", "os"]);
    assert_eq!(server.key(), None, "shown once");
    let (_, again) = server.send("POST", "/v1/decisions", &key, &login("l1"));
    assert_eq!((&again["id"], &again["flags"]), (&first["id"], &json!(["repeated"])));
    assert_eq!(again["valid_until"], first["valid_until"], "it was stamped when it first arrived");
    let (_, user) = server.send("GET", "/v1/entities/user/u1", &key, "");
    assert_eq!((&user["features"]["events_30d"], user["recent"].as_array().unwrap().len()), (&json!(1), 1));

    let listed = String::from_utf8(weir(&["keys", "list", "--data", data_text]).stdout).unwrap();
    assert!(
        listed.contains("analyst") && listed.contains("Ann") && !listed.contains(made.trim()),
        "{listed}"
    );
    let revoke = ["keys", "revoke", "--data", data_text, "2"];
    assert!(weir(&revoke).status.success());
    let again = weir(&revoke);
    assert!(
        !again.status.success()
            && String::from_utf8(again.stderr).unwrap().contains("there is no valid key 2")
    );
    let start = Instant::now();
    while server.send("GET", "/v1/alerts", made.trim(), "").0 != 401 {
        assert!(start.elapsed() < Duration::from_secs(10), "a revoked key is refused soon");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A mistyped name makes nothing, but where a server may still be begun there, which is said.
#[test]
fn keys_are_those_of_a_database_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let [empty, missing] = ["empty", "missing"].map(|it| folder.path().join(it));
    std::fs::create_dir(&empty).unwrap();
    for data in [&empty, &missing] {
        let data = data.to_str().unwrap();
        for command in [&["list"][..], &["revoke", "1"]] {
            let ended = weir(&[&["keys"], command, &["--data", data]].concat());
            let said = String::from_utf8(ended.stderr).unwrap();
            let expected = format!("`{data}` holds no database");
            assert!(!ended.status.success() && said.contains(&expected), "{command:?}: {said}");
        }
    }
    assert!(std::fs::read_dir(&empty).unwrap().count() == 0 && !missing.exists(), "nothing is made");
    for data in [&empty, &missing] {
        let create = || {
            weir(&["keys", "create", "--data", data.to_str().unwrap(), "--role", "operator", "--name", "x"])
        };
        let said = String::from_utf8(create().stderr).unwrap();
        assert!(said.contains("held no database: one is begun"), "{said}");
        assert_eq!(String::from_utf8(create().stderr).unwrap(), "", "now there is one");
    }
}

#[cfg(unix)]
#[test]
fn it_serves_where_nobody_reads_the_greeting() {
    let data = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let process = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["serve", "--listen", &address, "--data"])
        .arg(data.path())
        .stdout(writer)
        .spawn();
    let mut process = process.unwrap();
    let start = Instant::now();
    while TcpStream::connect(&address).is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(20) && process.try_wait().unwrap().is_none(),
            "it ended"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(request(&address, "GET", "/readyz", "", "").0, 200);
    assert!(Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap().success());
    assert!(process.wait().unwrap().success());
}

#[test]
fn a_directory_has_one_server_and_slips_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data_text = data.to_str().unwrap();
    let _server = Server::start(&data, &[]);
    let [small, smaller] = ["small", "smaller"].map(|it| folder.path().join(it));
    let [small, smaller] = [small.to_str().unwrap(), smaller.to_str().unwrap()];
    let rows: [(&[&str], &str); 6] = [
        (&["--data", data_text], "process"),
        (&["--listen", "localhost"], "`localhost` is no address to listen on"),
        (&["--memory", "much"], "`much` is no size"),
        (&["--memory", "1MiB", "--data", smaller], "before it has done anything"),
        (&["--memory", "20MiB", "--data", small], "before it has done anything"),
        (
            &["--rules", "nowhere.weir", "--data", folder.path().to_str().unwrap()],
            "cannot read `nowhere.weir`",
        ),
    ];
    for (arguments, expected) in rows {
        let arguments: Vec<&str> = [&["serve"], arguments].concat();
        let ended = weir(&arguments);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(expected), "{arguments:?}: {said}");
    }
}

/// A thousand payments, each of a user, a card and a device of its own.
fn batch(number: u32) -> String {
    let payment = |nth: u32| {
        let n = number * 1_000 + nth;
        json!({
            "id": format!("m{n}"), "type": "payment", "channel": "app", "merchant": "m1", "user": format!("u{n}"),
            "card": format!("c{n}"), "device": format!("d{n}"), "amount": { "value": 100, "currency": "CNY" },
        })
    };
    json!({ "events": (0..1_000).map(payment).collect::<Vec<_>>() }).to_string()
}

/// The limit lies a little above what the server takes at the start, so that payments reach it.
#[test]
fn at_the_memory_limit_the_process_lives_and_reads_go_on() {
    const ROOM: u64 = 16 << 20;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--durability", "os"]);
    let key = server.key().unwrap();
    let limit = server.resident() + ROOM;
    server.stop();

    let server = Server::start(&data, &["--durability", "os", "--memory", &format!("{limit}B")]);
    let (line, start) = (format!("\nweir_memory_limit_bytes {limit}\n"), Instant::now());
    while !server.send("GET", "/metrics", &key, "").1.as_str().unwrap().contains(&line) {
        assert!(start.elapsed() < Duration::from_secs(20), "the limit stands among the metrics");
        std::thread::sleep(Duration::from_millis(20));
    }
    let send = |number| server.send("POST", "/v1/decisions/batch", &key, &batch(number));
    let answers = (0..1_000).map(|number| (number, send(number)));
    let mut newest = answers.map(|(number, (status, body))| {
        assert_eq!(status, 200, "{body}");
        (number, body["results"].as_array().unwrap().last().unwrap().clone())
    });
    let (refused, result) = newest.find(|(_, it)| it["status"] != 200).unwrap();
    assert_eq!(
        (&result["status"], &result["problem"]["code"]),
        (&json!(503), &json!("unavailable")),
        "{result}"
    );
    assert!(0 < refused, "there was room for something");
    let single = json!({ "id": "p1", "type": "login", "user": "u1", "channel": "app" }).to_string();
    let rows = [
        ("POST", "/v1/decisions", single.as_str(), 503),
        ("POST", "/v1/events", &single, 503),
        ("GET", "/readyz", "", 503),
        ("GET", "/livez", "", 200),
        ("GET", "/v1/decisions/m999", "", 200),
        ("GET", "/v1/entities/user/u999", "", 200),
        ("GET", "/v1/alerts", "", 200),
    ];
    for (method, path, body, expected) in rows {
        let (status, answer) = server.send(method, path, &key, body);
        assert_eq!(status, expected, "{path}: {answer}");
        let says = answer["detail"].as_str().is_some_and(|it| it.contains("the memory limit is reached"));
        assert_eq!(says, expected == 503, "{path}: {answer}");
    }
    assert!(server.resident() < limit + 2 * ROOM, "what was taken beyond the limit is bounded");
    server.stop();

    // With a higher limit it goes on where it was.
    let server = Server::start(&data, &["--durability", "os"]);
    assert_eq!(server.send("POST", "/v1/decisions", &key, &single).0, 200);
    assert_eq!(server.send("GET", "/v1/decisions/m999", &key, "").0, 200);
}

/// Sends a rule set; gives what became of its job.
fn put_rules(server: &Server, key: &str, files: &Value) -> Value {
    let (status, mut job) = server.send("PUT", "/v1/rules", key, &json!({ "files": files }).to_string());
    assert_eq!(status, 202, "{job}");
    let path = format!("/v1/rules/jobs/{}", job["id"]);
    while job["state"] == "activating" {
        std::thread::sleep(Duration::from_millis(10));
        job = server.send("GET", &path, key, "").1;
    }
    job
}

/// A rule set that was read from a folder is shown as it may be sent again, with the files that it names beside it.
#[test]
fn the_files_that_a_server_shows_can_be_sent_back_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    std::fs::create_dir(&folder).unwrap();
    let schema = "schema s 1\nzone \"UTC\"\ncurrency CNY\nrates \"rates.csv\"\nentity user\n\
                  event payment\n  user: user\n  amount: money\n  mcc: text(4)?\n";
    let rules = "use schema s\nlist risky : text(4) from \"risky.txt\"\n\
                 rule shop \"A shop\"\n  on payment\n  when (mcc in risky) ?? false\n  then block\n";
    let rates = "currency,rate\nUSD,7.1\n";
    let files =
        [("s.schema.weir", schema), ("s.weir", rules), ("rates.csv", rates), ("risky.txt", "5732 # shops\n")];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let server = Server::start(&dir.path().join("data"), &["--rules", folder.to_str().unwrap()]);
    let key = server.key().unwrap();
    let (_, shown) = server.send("GET", "/v1/rules", &key, "");
    for (name, text) in &files[2..] {
        assert_eq!(shown["files"][name], *text, "{}", shown["files"]);
    }
    let job = put_rules(&server, &key, &shown["files"]);
    assert_eq!((&job["state"], &job["hash"]), (&json!("active"), &shown["hash"]), "{job}");
    server.stop();
}

/// A merchant's payments of the last minutes are taken for a day's, so that a window of months would hold a million.
#[test]
fn a_rule_set_that_would_not_fit_into_memory_is_refused_with_the_numbers() {
    const ROOM: u64 = 32 << 20;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--durability", "os"]);
    let key = server.key().unwrap();
    for number in 0..10 {
        assert_eq!(server.send("POST", "/v1/decisions/batch", &key, &batch(number)).0, 200);
    }
    let limit = server.resident() + ROOM;
    server.stop();

    let server = Server::start(&data, &["--durability", "os", "--memory", &format!("{limit}B")]);
    let before = server.send("GET", "/v1/rules", &key, "").1;
    let with = |more: &str| {
        let mut files = before["files"].clone();
        files["wallet.weir"] = format!("{}\n{more}\n", files["wallet.weir"].as_str().unwrap()).into();
        files
    };
    let wide = with("feature wide = count(payment) by merchant over 300d\nrecord wide");
    let refused = put_rules(&server, &key, &wide);
    assert_eq!(
        (&refused["state"], &refused["problem"]["code"]),
        (&json!("refused"), &json!("not_activated"))
    );
    let [needed, in_use, said] = ["needed_bytes", "in_use_bytes", "limit_bytes"]
        .map(|it| refused["problem"]["memory"][it].as_u64().unwrap_or_else(|| panic!("{it}: {refused}")));
    assert_eq!(said, limit);
    assert!(ROOM < needed && in_use < limit && limit < in_use + needed, "{refused}");
    assert_eq!(server.send("GET", "/v1/rules", &key, "").1["hash"], before["hash"]);
    // What needs no new state has room, and so has a window that holds little.
    for more in [
        "rule dear \"Dear\" on payment when amount > 9000.00 CNY then score +1",
        "feature short = count(payment) by merchant over 90m\nrecord short",
    ] {
        let done = put_rules(&server, &key, &with(more));
        assert_eq!(done["state"], "active", "{more}: {done}");
    }
    server.stop();

    let server = Server::start(&data, &["--durability", "os"]);
    assert_eq!(put_rules(&server, &key, &wide)["state"], "active");
}
