//! More is offered than the disk can keep: who is let in is answered as soon as ever, the rest is told when to come
//! again, and soon after it is over all is as before.
//!
//! `WEIR_OVERLOAD_SECONDS=60` says how long it lasts, and holds times to their bounds; with `--nocapture` it says what was
//! seen.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use api::Patience;
use desk::key::Role;
use serde_json::{Value, json};
use stream::disk::hooked::{Hooked, Limit};
use stream::disk::{Disk, Folder};
use stream::fold;
use stream::journal::{self, Cursor, OnDisk, Options, Reader, RecordKind};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::support::{Weir, hash_key};

/// Decisions a second that the disk can keep, about.
const DISK_PER_S: u64 = 500;
/// What one of them takes on it, about: a sector.
const DECISION_BYTES: u64 = 512;
const CALM_PER_S: u32 = 100;
const OVERLOAD_PER_S: u32 = 5_000;
/// What is allowed of a load that lasts, on a machine that does nothing else.
const ALONE: Bounds = Bounds { in_100: 99, times: 3.0, back_s: 5 };
/// And of a short one, beside other tests, on a machine that may stand still now and then: enough to see a queue of a
/// second, which each of them would wait in, hundreds of times as long.
const BESIDE_OTHERS: Bounds = Bounds { in_100: 50, times: 50.0, back_s: 30 };
/// What may wait for the disk: far less than the buffer holds.
const WAITING_MAX: Waiting = Waiting { records: DISK_PER_S, bytes: 1 << 20 };
/// Enough that no payment waits for one.
const CONNECTIONS: usize = 128;
/// The wallet's rules, whose policy declares a deadline of 10 ms: half of it is how long who is let in may wait.
const RULES: [(&str, &str); 2] = [
    ("wallet.schema.weir", include_str!("../../../fixtures/wallet/wallet.schema.weir")),
    ("wallet.weir", include_str!("../../../fixtures/wallet/wallet.weir")),
];

/// How the overload may be felt.
struct Bounds {
    /// So many in a hundred decisions
    in_100: usize,
    /// take at most so many times what they take in calm,
    times: f64,
    /// and within so many seconds all is as before.
    back_s: usize,
}

/// One connection, kept.
struct Client {
    stream: BufStream<TcpStream>,
    key: String,
}

/// What came of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Came {
    Decided,
    /// The declared fallback, as its record has it.
    TooLate,
    /// The declared fallback, as an amendment of its record has it.
    Amended,
    Refused,
}

/// What each payment of some time took from when it was due, and what came of it.
#[derive(Clone, Default)]
struct Seen(Vec<(Duration, Came)>);

impl Client {
    async fn connect(address: SocketAddr, key: String) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufStream::new(stream), key }
    }

    /// Gives the head in lower case, and the body.
    async fn ask(&mut self, method: &str, path: &str, body: &str) -> (String, Vec<u8>) {
        let (key, length) = (&self.key, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).await.unwrap(), 0, "the connection broke: {head}");
        }
        head.make_ascii_lowercase();
        let mut body = vec![0; header(&head, "content-length").unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        (head, body)
    }

    /// Pays. Nothing but a decision and a refusal that says when to come again may come of it.
    async fn pay(&mut self, id: &str, number: u32) -> Came {
        let (head, body) = self.ask("POST", "/v1/decisions", &payment(id, number)).await;
        let said: Value = serde_json::from_slice(&body).unwrap();
        match status(&head) {
            200 if said["fallback"].is_null() && said["durable"] == true => Came::Decided,
            200 if said["fallback"] == "deadline" && said["durable"] == true => Came::TooLate,
            200 if said["fallback"] == "deadline" => Came::Amended,
            429 if said["code"] == "overloaded" && Some(1) <= header(&head, "retry-after") => Came::Refused,
            _ => panic!("{head}{said}"),
        }
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn header(head: &str, name: &str) -> Option<usize> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
}

fn payment(id: &str, number: u32) -> String {
    let of = |letter: char, many: u32| format!("{letter}{}", number % many);
    json!({
        "id": id, "type": "payment", "channel": "app", "user": of('u', 10_007), "card": of('c', 10_007),
        "device": of('d', 10_007), "merchant": of('m', 101), "amount": { "value": 1_250, "currency": "CNY" },
    })
    .to_string()
}

impl Seen {
    fn count(&self, what: Came) -> usize {
        self.0.iter().filter(|(_, came)| *came == what).count()
    }

    /// In milliseconds, what so many in a hundred decisions took at most.
    fn took_ms(&self, in_100: usize) -> f64 {
        let decided = self.0.iter().filter(|(_, came)| *came == Came::Decided);
        let mut took: Vec<_> = decided.map(|(took, _)| *took).collect();
        took.sort_unstable();
        let at = (took.len() * in_100).div_ceil(100).saturating_sub(1);
        took.get(at).expect("something was decided").as_secs_f64() * 1e3
    }

    /// So many times as long as in calm.
    fn times(&self, calm: &Self, in_100: usize) -> f64 {
        self.took_ms(in_100) / calm.took_ms(in_100)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [decided, late, amended, refused] =
            [Came::Decided, Came::TooLate, Came::Amended, Came::Refused].map(|it| self.count(it));
        let [p50, p99] = [50, 99].map(|it| self.took_ms(it));
        write!(f, "{decided:6} decided, p50 {p50:.2} ms, p99 {p99:.2} ms; ")?;
        write!(f, "{} fell back, {amended} of them by an amendment; {refused} refused", late + amended)
    }
}

/// Offers so many payments a second for so long, each when it is due whatever became of those before.
async fn offer(weir: &Weir<Arc<OnDisk>>, name: &str, per_s: u32, time: Duration) -> Seen {
    let (tell, told) = mpsc::unbounded_channel();
    let told = Arc::new(Mutex::new(told));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(weir.address, weir.key(Role::Service).to_owned()).await;
        let (told, name) = (Arc::clone(&told), name.to_owned());
        connections.spawn(async move {
            let mut answers = Vec::new();
            loop {
                let next: Option<(u32, Instant)> = told.lock().await.recv().await;
                let Some((number, due)) = next else { return answers };
                let came = client.pay(&format!("{name}-{number}"), number).await;
                answers.push((due.elapsed(), came));
            }
        });
    }
    // On a thread of its own: the runtime's timers are only good to the millisecond.
    thread::spawn(move || {
        let (start, every) = (Instant::now(), Duration::from_secs(1) / per_s);
        let due = (0..).map(|number| (number, start + every * number));
        due.take_while(|(_, due)| *due < start + time).try_for_each(|(number, due)| {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            tell.send((number, due))
        })
    });
    Seen(connections.join_all().await.concat())
}

/// The most that waited for the disk while it was looked.
#[derive(Default)]
struct Waiting {
    records: u64,
    bytes: usize,
}

/// Looks again and again how much waits for the disk, and whether everything else goes on.
async fn watch(weir: &Weir<Arc<OnDisk>>, most: &mut Waiting) {
    let mut client = Client::connect(weir.address, weir.key(Role::Admin).to_owned()).await;
    loop {
        for path in ["/readyz", "/v1/entities/user/u1", "/v1/alerts"] {
            let (head, _) = client.ask("GET", path, "").await;
            assert_eq!(status(&head), 200, "{path}: {head}");
        }
        let (_, metrics) = client.ask("GET", "/metrics", "").await;
        let metrics = String::from_utf8(metrics).unwrap();
        let queue = metrics.lines().find_map(|line| line.strip_prefix("weir_journal_queue_records "));
        most.records = most.records.max(queue.unwrap().parse().unwrap());
        most.bytes = most.bytes.max(weir.journal.buffer_bytes());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Offers what the disk can easily keep, second by second, until all of it is decided again, and as fast as in calm; gives
/// what was seen meanwhile.
async fn back(weir: &Weir<Arc<OnDisk>>, bounds: &Bounds, calm: &Seen) -> Vec<Seen> {
    let mut all = Vec::new();
    while all.len() < bounds.back_s {
        let name = format!("back-{}", all.len());
        let seen = offer(weir, &name, CALM_PER_S, Duration::from_secs(1)).await;
        println!("afterwards {seen}");
        let back = seen.count(Came::Refused) == 0 && seen.times(calm, bounds.in_100) <= bounds.times;
        all.push(seen);
        if back {
            return all;
        }
    }
    panic!("it is not back to normal after {} s", all.len());
}

/// The journal holds what was answered and nothing else, and every decision in it follows from what stands before.
fn check_journal(disk: &Arc<dyn Disk>, answered: &[Seen]) {
    journal::verify(disk, 0).unwrap().unwrap();
    let open = |from| Ok(Box::new(Reader::open(Arc::clone(disk), from, 0)?) as Box<dyn Cursor>);
    let (mut decisions, mut amendments, mut records) = (0, 0, open(0).unwrap());
    while let Some(record) = records.next().unwrap() {
        decisions += usize::from(record.kind == RecordKind::Decided);
        amendments += usize::from(record.kind == RecordKind::Amend);
    }
    let count = |what| answered.iter().map(|it| it.count(what)).sum::<usize>();
    let (late, amended) = (count(Came::TooLate), count(Came::Amended));
    assert_eq!((decisions, amendments), (count(Came::Decided) + late + amended, amended));
    let report = fold::verify(&open, hash_key(), None).unwrap();
    assert_eq!((report.fallbacks, report.different), (late as u64, 0), "{:?}", report.differences);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_disk_cannot_keep_is_refused_and_the_rest_is_in_time() {
    let long = std::env::var("WEIR_OVERLOAD_SECONDS").ok().map(|it| it.parse().unwrap());
    let time = Duration::from_secs(long.unwrap_or(4));
    let bounds = if long.is_some() { ALONE } else { BESIDE_OTHERS };
    let folder = tempfile::tempdir().unwrap();
    let real = Folder::create(folder.path().join("journal")).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(Hooked::new(real, Arc::new(Limit::new(DISK_PER_S * DECISION_BYTES))));
    let journal = Arc::new(OnDisk::open(Arc::clone(&disk), Options::new(hash_key())).unwrap());
    let weir = Weir::start_over(Arc::clone(&journal), &RULES, Patience::default()).await;

    let first = offer(&weir, "first", CALM_PER_S, Duration::from_secs(1)).await;
    let calm = offer(&weir, "calm", CALM_PER_S, time / 4).await;
    println!("in calm    {calm}");
    let mut most = Waiting::default();
    let overload = tokio::select! {
        seen = offer(&weir, "overload", OVERLOAD_PER_S, time) => seen,
        () = watch(&weir, &mut most) => unreachable!("it looks for ever"),
    };
    println!("overload   {overload}");
    println!("waiting    {} records, {} bytes at most", most.records, most.bytes);
    println!("the disk   {:?}", journal.sync_times());
    assert!(overload.count(Came::Decided) < overload.count(Came::Refused), "it was no overload");
    assert!(most.records <= WAITING_MAX.records && most.bytes <= WAITING_MAX.bytes);
    let afterwards = back(&weir, &bounds, &calm).await;
    let [p50, p99] = [50, 99].map(|it| overload.times(&calm, it));
    println!(
        "times      {p50:.2} of the median in calm, {p99:.2} of its p99; {} are allowed of p{}",
        bounds.times, bounds.in_100
    );
    assert!(
        overload.times(&calm, bounds.in_100) <= bounds.times,
        "{p50:.2} and {p99:.2} times as long as in calm"
    );
    journal.close();
    check_journal(&disk, &[vec![first, calm, overload], afterwards].concat());
}
