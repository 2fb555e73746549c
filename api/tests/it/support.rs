//! A server of one's own, and whoever calls it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::{Activation, Parts, Patience, Server, TestResults, Traffic, Trial, now};
use desk::key::Role;
use desk::{Database, Desk};
use engine::entity::HashKey;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use stream::build::BuildError;
use stream::bundle::{Bundle, Checked};
use stream::gate::{Admission, Gate, MayFollow};
use stream::journal::{Journal, Memory};
use stream::prune::rebase;
use stream::snapshot::{DataDir, Extra};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const SCHEMA: &str = r#"schema s 1
zone "UTC"
currency CNY
entity user
entity device shared
enum channel = app, web
event payment
  user:    user
  device:  device?
  amount:  money
  channel: channel?
  place:   place?
  share:   decimal(2)?
  mcc:     text(4)?
event login
  user:   user
  device: device?
"#;

pub(crate) const RULES: &str = r#"use schema s
list watched : user
list risky : text(4)
table limits : user -> money

feature spent_24h = sum(payment.amount) by user over 24h before where accepted
feature payments_1h = count(payment) by user over 1h
feature usual = mean(payment.amount) by user over 30d before
feature users_7d = distinct(any.user) by device over 7d
record spent_24h, payments_1h

rule limit "Over the spending limit" tell "Your limit is reached"
  on payment
  when spent_24h + amount > 1000.00 CNY
  then block, alert high

rule watched_user "A watched user"
  on payment
  when user in watched
  then score +60, alert medium

rule risky_shop "A risky shop"
  on payment
  when (mcc in risky) ?? false
  then score +12.5

policy
  challenge with passkey or pay_pwd + otp when score >= 50
  valid for 60s
"#;

/// A server, its keys and its journal; it stops when it is dropped.
pub(crate) struct Weir<J = Memory> {
    pub(crate) address: SocketAddr,
    pub(crate) desk: Desk,
    pub(crate) journal: J,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) serving: JoinHandle<()>,
    keys: Vec<(Role, String)>,
    http: reqwest::Client,
    dir: Arc<DataDir>,
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

/// Fails each rule set that has a rule called `doomed`.
#[derive(Debug)]
struct Doomed;

impl Trial for Doomed {
    fn run(&self, _: &Bundle, checked: &Checked) -> Result<TestResults, String> {
        let doomed = checked.rules.rules.iter().any(|it| it.name == "doomed");
        let failures = doomed.then(|| "nobody is doomed\n  --> s.weir:9:6\n  but it is\n".to_owned());
        Ok(TestResults { passed: 2, failures: failures.into_iter().collect() })
    }
}

/// Builds what a rule set lacks, with a folder for its snapshots.
#[derive(Debug)]
struct Built {
    gate: Arc<Gate>,
    dir: Arc<DataDir>,
}

impl Activation for Built {
    fn activate(
        &self,
        bundle: &Arc<Bundle>,
        may_follow: Option<MayFollow<'_>>,
        tell: &mut dyn FnMut(stream::build::Built),
    ) -> Result<(), BuildError> {
        self.gate.activate_built(bundle, may_follow, (&self.dir, &Extra::new()), tell).map(drop)
    }
}

/// The key under which ids are hashed.
pub(crate) fn hash_key() -> HashKey {
    HashKey::new([7; 16])
}

impl Weir {
    pub(crate) async fn start() -> Self {
        Self::start_with(Memory::default(), Patience::default()).await
    }

    pub(crate) async fn start_with(journal: Memory, patience: Patience) -> Self {
        Self::start_over(journal, &[("s.schema.weir", SCHEMA), ("s.weir", RULES)], patience).await
    }

    /// As if the records below an offset had been pruned.
    pub(crate) fn prune(&self, below: u64) {
        rebase(&self.dir, &self.journal, hash_key(), below, &Extra::new()).unwrap();
        self.journal.prune(below);
    }
}

impl<J: Journal + Clone + 'static> Weir<J> {
    /// Over an empty journal, with these files as the rule set.
    pub(crate) async fn start_over(journal: J, files: &[(&str, &str)], patience: Patience) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(&Database::File(folder.path().join("weir.db"))).await.unwrap();
        let mut keys = Vec::new();
        for role in Role::ALL {
            let secret = desk.create_key(role, role.name(), now()).await.unwrap();
            keys.push((role, secret.reveal().to_owned()));
        }
        let bundle = Arc::new(Bundle::of(files));
        let gate = Gate::begin(bundle, hash_key(), Box::new(journal.clone()), Admission::default());
        let gate = gate.unwrap();
        let (gate, dir) = (Arc::new(gate), Arc::new(DataDir::open(folder.path()).unwrap()));
        let parts = Parts {
            gate: Arc::clone(&gate),
            desk: desk.clone(),
            trial: Arc::new(Doomed),
            activation: Arc::new(Built { gate, dir: Arc::clone(&dir) }),
            past_max: Duration::from_secs(24 * 3600),
            patience,
        };
        let server = Server::new(parts).await.unwrap();
        let traffic = server.traffic();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(server.serve(listener));
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { address, desk, journal, traffic, serving, keys, http, dir, _folder: folder }
    }

    pub(crate) fn key(&self, role: Role) -> &str {
        &self.keys.iter().find(|(it, _)| *it == role).unwrap().1
    }

    /// A request with an admin's key.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.key(Role::Admin))
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::PUT, path).json(body)).await
    }

    /// Pays; gives the decision.
    pub(crate) async fn pay(&self, id: &str, user: &str, minor: i64) -> Value {
        let answer = self.post("/v1/decisions", &payment(id, user, minor)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Waits until something is so.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        for _ in 0..400 {
            if let Some(found) = look(self).await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} did not happen")
    }
}

pub(crate) fn payment(id: &str, user: &str, minor: i64) -> Value {
    json!({ "id": id, "type": "payment", "user": user, "amount": { "value": minor, "currency": "CNY" } })
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, headers, body }
}
