//! Hands that load a server over HTTP with everything that a caller can do, and remember what they were told.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::serve::Server;

/// Hands that load a server together.
pub(crate) const HANDS: u64 = 4;

/// One connection, as long as the server lives.
pub(crate) struct Client<'a> {
    stream: BufReader<TcpStream>,
    key: &'a str,
}

impl<'a> Client<'a> {
    pub(crate) fn connect(address: &str, key: &'a str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { stream: BufReader::new(stream), key })
    }

    /// Sends a request; gives the status and the body.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        deadline: &str,
        body: &str,
    ) -> io::Result<(u16, Value)> {
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
pub(crate) enum Told {
    Decided { body: Value, answer: Value },
    Recorded { body: Value },
    Amended { body: Value },
}

/// All that was answered as durable, of one connection or of several.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) told: Vec<Told>,
    /// Whether a device is on the list; none where a change was under way when the server was killed.
    pub(crate) listed: BTreeMap<String, Option<bool>>,
    /// Ids of events whose answers were not durable: a deadline was missed, and nothing is promised.
    pub(crate) fallen_back: Vec<String>,
    pub(crate) rechecks: usize,
    /// Requests that had all the time and were refused for want of room.
    pub(crate) shed: usize,
}

impl Answers {
    pub(crate) fn add(&mut self, other: Self) {
        self.told.extend(other.told);
        self.listed.extend(other.listed);
        self.fallen_back.extend(other.fallen_back);
        self.rechecks += other.rechecks;
        self.shed += other.shed;
    }

    #[track_caller]
    fn shed(&mut self, status: u16, answer: &Value) {
        check_shed(status, answer);
        self.shed += 1;
    }
}

/// Refused for want of room is the only thing that may come of a good request.
#[track_caller]
fn check_shed(status: u16, answer: &Value) {
    assert!([429, 503].contains(&status), "{status}: {answer}");
}

/// One connection's part of the load.
pub(crate) struct Hand<'a> {
    client: Client<'a>,
    round: u64,
    hand: u64,
    number: u64,
    dice: ChaCha8Rng,
    pub(crate) answers: Answers,
}

impl<'a> Hand<'a> {
    pub(crate) fn new(client: Client<'a>, round: u64, hand: u64, seed: u64) -> Self {
        let dice = ChaCha8Rng::seed_from_u64(seed);
        Self { client, round, hand, number: 0, dice, answers: Answers::default() }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.dice.next_u64() % bound
    }

    /// Sends until the server is gone.
    pub(crate) fn work(mut self) -> Answers {
        while self.one().is_ok() {}
        self.answers
    }

    pub(crate) fn one(&mut self) -> io::Result<()> {
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
            (200, Some(false)) => self.answers.fallen_back.extend(body["id"].as_str().map(str::to_owned)),
            // Who has no time is not let in where it would be too late.
            _ if deadline != "none" => check_shed(status, &answer),
            _ => self.answers.shed(status, &answer),
        }
        Ok(())
    }

    fn record(&mut self) -> io::Result<()> {
        let id = self.id("e");
        let body = self.payment(&id);
        let (status, answer) = self.client.ask("POST", "/v1/events", "none", &body.to_string())?;
        match status {
            200 => self.answers.told.push(Told::Recorded { body }),
            _ => self.answers.shed(status, &answer),
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
        let (column, to) =
            [("label", "fraud"), ("label", "legitimate"), ("result", "reversed"), ("challenge", "passed")]
                [usize::try_from(self.below(4)).unwrap()];
        let body = json!({ "id": self.id("a"), "event_id": of["id"], column: to });
        let (status, answer) = self.client.ask("POST", "/v1/amendments", "none", &body.to_string())?;
        match status {
            200 => self.answers.told.push(Told::Amended { body }),
            _ => self.answers.shed(status, &answer),
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
            self.answers.shed(status, &answer);
        }
        Ok(())
    }
}

/// Puts rules over the wallet's schema in force.
#[track_caller]
pub(crate) fn put_in_force(server: &Server, key: &str, rules: &str) {
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
