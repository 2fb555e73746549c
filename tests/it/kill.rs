//! `weir serve`, killed under load again and again: whatever was answered as durable is there afterwards.
//!
//! `WEIR_KILLS=20` says how often; with `--nocapture` each round says what it did.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::program::output;
use crate::serve::Server;

/// Connections that load the server.
const HANDS: u64 = 4;
/// The round that ends right after other thresholds came into force.
const ROUND_OF_THRESHOLDS: u64 = 1;
/// The round that ends right after a feature came into force whose state had to be built.
const ROUND_OF_FEATURES: u64 = 3;

/// One connection, as long as the server lives.
struct Client<'a> {
    stream: BufReader<TcpStream>,
    key: &'a str,
}

impl<'a> Client<'a> {
    fn connect(address: &str, key: &'a str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { stream: BufReader::new(stream), key })
    }

    /// Sends a request; gives the status and the body.
    fn ask(&mut self, method: &str, path: &str, deadline: &str, body: &str) -> io::Result<(u16, Value)> {
        let (key, length) = (self.key, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Weir-Deadline: {deadline}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            head += &line.to_ascii_lowercase();
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut body)?;
        Ok((status, serde_json::from_slice(&body).unwrap()))
    }
}

/// Something that was answered as durable.
enum Told {
    Decided { body: Value, answer: Value },
    Recorded { body: Value },
    Amended { body: Value },
}

/// All that was answered as durable, of one connection or of several.
#[derive(Default)]
struct Answers {
    told: Vec<Told>,
    /// Whether a device is on the list; none where a change was under way when the server was killed.
    listed: BTreeMap<String, Option<bool>>,
    /// Answers that were not durable: a deadline was missed, and nothing is promised.
    fallen_back: usize,
    rechecks: usize,
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.told.extend(other.told);
        self.listed.extend(other.listed);
        self.fallen_back += other.fallen_back;
        self.rechecks += other.rechecks;
    }
}

/// One connection's part of the load.
struct Hand<'a> {
    client: Client<'a>,
    round: u64,
    hand: u64,
    number: u64,
    dice: ChaCha8Rng,
    answers: Answers,
}

impl Hand<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        self.dice.next_u64() % bound
    }

    /// Sends until the server is gone.
    fn work(mut self) -> Answers {
        while self.one().is_ok() {}
        self.answers
    }

    fn one(&mut self) -> io::Result<()> {
        self.number += 1;
        match self.below(100) {
            0..60 => self.decide("none"),
            60..70 => self.decide("1ms"),
            70..76 => self.record(),
            76..84 => self.recheck(),
            84..94 => self.amend(),
            _ => self.list(),
        }
    }

    fn id(&self, of: &str) -> String {
        format!("{of}-{}-{}-{}", self.round, self.hand, self.number)
    }

    fn payment(&mut self, id: &str) -> Value {
        let mut body = json!({
            "id": id, "type": "payment", "channel": "app",
            "user": format!("u{}", self.below(60)), "merchant": format!("m{}", self.below(5)),
            "card": format!("c{}", self.below(20)), "device": format!("d{}", self.below(12)),
            "amount": { "value": 100 + self.below(100_000), "currency": "CNY" },
        });
        // Late, or too late; the others are stamped when they arrive.
        let ago = match self.below(10) {
            0 => Duration::from_secs(60),
            1 => Duration::from_secs(30 * 60),
            _ => return body,
        };
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - ago;
        let time = jiff::Timestamp::from_microsecond(i64::try_from(time.as_micros()).unwrap()).unwrap();
        body["time"] = json!(time.to_string());
        body
    }

    fn decide(&mut self, deadline: &str) -> io::Result<()> {
        let id = self.id("p");
        let body = self.payment(&id);
        self.send_decision(deadline, body)
    }

    fn send_decision(&mut self, deadline: &str, body: Value) -> io::Result<()> {
        let (status, answer) = self.client.ask("POST", "/v1/decisions", deadline, &body.to_string())?;
        match (status, answer["durable"].as_bool()) {
            (200, Some(true)) => self.answers.told.push(Told::Decided { body, answer }),
            (200, Some(false)) => self.answers.fallen_back += 1,
            _ => check_shed(status, &answer),
        }
        Ok(())
    }

    fn record(&mut self) -> io::Result<()> {
        let id = self.id("e");
        let body = self.payment(&id);
        let (status, answer) = self.client.ask("POST", "/v1/events", "none", &body.to_string())?;
        match status {
            200 => self.answers.told.push(Told::Recorded { body }),
            _ => check_shed(status, &answer),
        }
        Ok(())
    }

    /// A payment of this connection that was decided.
    fn one_of_mine(&mut self) -> Option<Value> {
        let bound = self.answers.told.len().max(1) as u64;
        let at = usize::try_from(self.below(bound)).unwrap();
        match self.answers.told.get(at)? {
            Told::Decided { body, .. } if body.get("recheck_of").is_none() => Some(body.clone()),
            _ => None,
        }
    }

    fn recheck(&mut self) -> io::Result<()> {
        let Some(mut body) = self.one_of_mine() else { return Ok(()) };
        body["recheck_of"] = body["id"].take();
        body["id"] = json!(self.id("r"));
        body.as_object_mut().unwrap().remove("time");
        self.answers.rechecks += 1;
        self.send_decision("none", body)
    }

    fn amend(&mut self) -> io::Result<()> {
        let Some(of) = self.one_of_mine() else { return Ok(()) };
        let (column, to) = [("label", "fraud"), ("label", "legitimate"), ("result", "reversed")]
            [usize::try_from(self.below(3)).unwrap()];
        let body = json!({ "id": self.id("a"), "event_id": of["id"], column: to });
        let (status, answer) = self.client.ask("POST", "/v1/amendments", "none", &body.to_string())?;
        match status {
            200 => self.answers.told.push(Told::Amended { body }),
            _ => check_shed(status, &answer),
        }
        Ok(())
    }

    /// Each connection has devices of its own, so that it knows what was said of them last.
    fn list(&mut self) -> io::Result<()> {
        let device = format!("d{}", self.hand + HANDS * self.below(3));
        let enters = self.below(2) == 0;
        let method = if enters { "PUT" } else { "DELETE" };
        self.answers.listed.insert(device.clone(), None);
        let path = format!("/v1/lists/blocked_devices/{device}");
        let (status, answer) = self.client.ask(method, &path, "none", "")?;
        if status == 200 {
            self.answers.listed.insert(device, Some(enters));
        } else {
            check_shed(status, &answer);
        }
        Ok(())
    }
}

/// Refused for want of room is the only thing that may come of a good request.
#[track_caller]
fn check_shed(status: u16, answer: &Value) {
    assert!([429, 503].contains(&status), "{status}: {answer}");
}

/// What a server no longer knows of all that it had answered, if the explanations of decisions are asked for too.
fn missing(server: &Server, key: &str, answers: &Answers, explained: bool) -> Vec<String> {
    let mut client = Client::connect(&server.address, key).unwrap();
    let mut ask = |method: &str, path: &str, body: &str| client.ask(method, path, "none", body).unwrap();
    let mut missing = Vec::new();
    let mut expect = |what: &Value, got: &(u16, Value), expected: Value| {
        if *got != (200, expected.clone()) {
            missing.push(format!("{what}: {got:?} in the place of {expected}"));
        }
    };
    for told in &answers.told {
        match told {
            Told::Decided { body, answer } => {
                let again = ask("POST", "/v1/decisions", &body.to_string());
                let mut expected = answer.clone();
                expected["flags"].as_array_mut().unwrap().push(json!("repeated"));
                expect(body, &again, expected);
                if explained {
                    let path = format!("/v1/decisions/{}", body["id"].as_str().unwrap());
                    let (status, mut explained) = ask("GET", &path, "");
                    expect(body, &(status, explained["decision"].take()), answer.clone());
                }
            }
            Told::Recorded { body } => {
                let (status, answer) = ask("POST", "/v1/events", &body.to_string());
                let repeated = answer["flags"].as_array().is_some_and(|it| it.contains(&json!("repeated")));
                expect(body, &(status, json!(repeated)), json!(true));
            }
            Told::Amended { body } => {
                let (status, answer) = ask("POST", "/v1/amendments", &body.to_string());
                expect(body, &(status, answer["repeated"].clone()), json!(true));
            }
        }
    }
    for (device, listed) in &answers.listed {
        let Some(listed) = listed else { continue };
        let (status, entry) = ask("GET", &format!("/v1/lists/blocked_devices/{device}"), "");
        expect(&json!(device), &(status, entry["member"].clone()), json!(listed));
    }
    missing
}

#[track_caller]
fn check_known(server: &Server, key: &str, answers: &Answers, explained: bool) {
    let missing = missing(server, key, answers, explained);
    let count = missing.len();
    assert!(missing.is_empty(), "{count} of {}, such as {:#?}", answers.told.len(), &missing[..count.min(3)]);
}

/// Sends until the server is killed, at a moment that the dice choose, or right after other rules came into force.
fn load(server: Server, key: &str, round: u64, dice: &mut ChaCha8Rng, swap: Option<&str>) -> Answers {
    let address = server.address.clone();
    let moment = Duration::from_millis(20 + dice.next_u64() % 400);
    let seeds: Vec<_> = (0..HANDS).map(|_| dice.next_u64()).collect();
    thread::scope(|scope| {
        let hands = (0..HANDS).zip(seeds).map(|(hand, seed)| {
            let client = Client::connect(&address, key).unwrap();
            let dice = ChaCha8Rng::seed_from_u64(seed);
            let hand = Hand { client, round, hand, number: 0, dice, answers: Answers::default() };
            scope.spawn(move || hand.work())
        });
        let hands: Vec<_> = hands.collect();
        thread::sleep(moment);
        if let Some(rules) = swap {
            put_in_force(&server, key, rules);
        }
        drop(server); // SIGKILL
        let mut answers = Answers::default();
        hands.into_iter().for_each(|it| answers.add(it.join().unwrap()));
        answers
    })
}

/// Puts rules over the wallet's schema in force.
#[track_caller]
fn put_in_force(server: &Server, key: &str, rules: &str) {
    let schema = include_str!("../../fixtures/wallet/wallet.schema.weir");
    let body = json!({ "files": { "wallet.schema.weir": schema, "wallet.weir": rules } });
    let (status, mut job) = server.send("PUT", "/v1/rules", key, &body.to_string());
    assert_eq!(status, 202, "{job}");
    let path = format!("/v1/rules/jobs/{}", job["id"]);
    let start = Instant::now();
    while job["state"] != json!("active") {
        assert!(job["state"] == json!("activating") && start.elapsed() < Duration::from_secs(60), "{job}");
        job = server.send("GET", &path, key, "").1;
    }
}

const RULES: &str = include_str!("../../fixtures/wallet/wallet.weir");

/// The rules that are put in force before a round's kill, if any.
fn swap(round: u64) -> Option<String> {
    let thresholds = RULES.replace("then score +50, alert medium", "then score +45, alert medium");
    let features = "feature shop_2h = count(payment) by merchant over 2h\nrecord shop_2h, unusual,";
    match round {
        ROUND_OF_THRESHOLDS => Some(thresholds),
        ROUND_OF_FEATURES => Some(thresholds.replace("record unusual,", features)),
        _ => None,
    }
}

#[test]
fn whatever_was_durable_is_there_after_the_process_is_killed() {
    let kills = std::env::var("WEIR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Under `os` too an answer outlives the process.
    let start = |round: u64| {
        let durability = if round.is_multiple_of(2) { "fsync" } else { "os" };
        Server::start(&data, &["--rules", "fixtures/wallet", "--durability", durability])
    };
    let mut dice = ChaCha8Rng::seed_from_u64(u64::from(std::process::id()));
    let (mut server, mut all) = (start(0), Answers::default());
    let key = server.key().unwrap();
    for round in 0..kills {
        let swap = swap(round);
        let answers = load(server, &key, round, &mut dice, swap.as_deref());
        let began = Instant::now();
        server = start(round + 1);
        let took = began.elapsed();
        println!(
            "kill {round}: {} durable answers, {} rechecks, {} fell back; up again in {took:?}",
            answers.told.len(),
            answers.rechecks,
            answers.fallen_back
        );
        check_known(&server, &key, &answers, true);
        if let Some(rules) = &swap {
            let (_, in_force) = server.send("GET", "/v1/rules", &key, "");
            assert_eq!(in_force["files"]["wallet.weir"], json!(rules), "kill {round}");
        }
        all.add(answers);
    }
    check_known(&server, &key, &all, false);
    assert!(kills < all.told.len() as u64, "hardly anything was answered");
    server.stop();
    let verified = output(&["journal", "verify", "--decide", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8([verified.stdout, verified.stderr].concat()).unwrap();
    println!("{said}");
    assert!(verified.status.success() && said.contains("derived again, and none differs"), "{said}");
}

/// A test that cannot fail proves nothing: with the end of the journal cut off, as if it had never been on the disk,
/// answers are missing.
#[test]
fn without_the_end_of_the_journal_answers_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--rules", "fixtures/wallet"]);
    let key = server.key().unwrap();
    let answers = load(server, &key, 0, &mut ChaCha8Rng::seed_from_u64(1), None);
    let names = fs::read_dir(folder.path().join("journal")).unwrap().map(|it| it.unwrap().path());
    let segment = names.max().unwrap();
    let file = fs::OpenOptions::new().write(true).open(segment).unwrap();
    file.set_len(file.metadata().unwrap().len() - (8 << 10)).unwrap();
    let server = Server::start(folder.path(), &[]);
    assert!(!missing(&server, &key, &answers, true).is_empty());
}
