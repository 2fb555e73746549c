//! One HTTP connection to a server, over hyper's own: one request after another, made anew where it broke.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::{Instant, timeout};

use crate::stderr;

/// How long an answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// How long one request is sent again and again, while the server is overloaded or away.
const PATIENCE: Duration = Duration::from_secs(60);
/// After how long of that it is said.
const SAY_AFTER: Duration = Duration::from_secs(3);
/// How long to wait where the server does not say.
const PAUSE: Duration = Duration::from_secs(1);

/// Which server, and who asks.
#[derive(Clone)]
pub(crate) struct Server {
    /// Host and port.
    authority: String,
    /// `Bearer …`.
    key: HeaderValue,
    /// `Weir-Deadline`.
    deadline: HeaderValue,
}

impl fmt::Debug for Server {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Server {
    /// The server at an address such as `http://127.0.0.1:7878`.
    pub(crate) fn new(url: &str, key: &str, deadline: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("`{url}` is no address of a server"))?;
        let authority = uri.authority().map(ToString::to_string);
        let (Some("http"), Some(authority), "/") = (uri.scheme_str(), authority, uri.path()) else {
            bail!(
                "`{url}` is no address of a server: write `http://HOST:PORT` (TLS is what stands in front of it)"
            );
        };
        let mut key = HeaderValue::try_from(format!("Bearer {key}")).context("the key is none")?;
        key.set_sensitive(true);
        let deadline = HeaderValue::try_from(deadline).context("the deadline is none")?;
        let authority = if uri.port().is_some() { authority } else { authority + ":80" };
        Ok(Self { authority, key, deadline })
    }

    fn request(&self, method: &Method, path: &str, body: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, &self.key)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("Weir-Deadline", &self.deadline)
            .body(Full::new(body))?;
        Ok(request)
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    /// How long it took, from the attempt that was answered.
    pub(crate) took: Duration,
    /// Attempts before that one.
    pub(crate) retries: u64,
    /// After how long to come again.
    pub(super) retry_after: Option<Duration>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    server: Server,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(server: Server) -> anyhow::Result<Self> {
        let mut client = Self { server, sender: None };
        let unreached =
            format!("nothing answers at `http://{}`: does `weir serve` run there?", client.server.authority);
        client.sender().await.context(unreached)?;
        Ok(client)
    }

    /// Sends until there is an answer: again where the server is overloaded or the connection broke, which changes
    /// nothing, because every event and every amendment has an id.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        let body = Bytes::from(body);
        let start = Instant::now();
        let (mut retries, mut said) = (0, false);
        loop {
            let answer = self.once(&method, path, body.clone()).await;
            let (pause, why) = match answer {
                Ok(Answer { status, retry_after, .. }) if is_busy(status) => {
                    (retry_after.unwrap_or(PAUSE), anyhow::anyhow!("it answers {status}"))
                }
                Ok(answer) => return Ok(Answer { retries, ..answer }),
                Err(broken) => {
                    self.sender = None;
                    (PAUSE, broken)
                }
            };
            let (seconds, authority) = (PATIENCE.as_secs(), &self.server.authority);
            if SAY_AFTER < start.elapsed() && !said {
                said = true;
                stderr::note(&format!(
                    "`http://{authority}` takes nothing: {why:#}; it is tried for {seconds} s"
                ));
            }
            if PATIENCE < start.elapsed() {
                return Err(why.context(format!("`http://{authority}` took nothing for {seconds} s")));
            }
            retries += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks for what the server goes on sending, and gives it as it comes: this connection is then taken by it.
    pub(crate) async fn follow(&mut self, path: &str) -> anyhow::Result<Incoming> {
        let request = self.server.request(&Method::GET, path, Bytes::new())?;
        let answer = timeout(ANSWER_TIME_MAX, self.sender().await?.send_request(request));
        let answer = answer.await.context("it does not answer")??;
        ensure!(answer.status() == StatusCode::OK, "`{path}`: the server answers {}", answer.status());
        Ok(answer.into_body())
    }

    async fn once(&mut self, method: &Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let request = self.server.request(method, path, body)?;
        let sender = self.sender().await?;
        let start = Instant::now();
        let answer = timeout(ANSWER_TIME_MAX, async {
            let answer = sender.send_request(request).await?;
            let (head, body) = answer.into_parts();
            Ok::<_, hyper::Error>((head, body.collect().await?.to_bytes()))
        });
        let (head, body) = answer.await.context("it does not answer")??;
        let seconds = head.headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
        Ok(Answer {
            status: head.status,
            body,
            took: start.elapsed(),
            retries: 0,
            retry_after: seconds.map(Duration::from_secs),
        })
    }

    /// The connection, made if there is none that is open.
    async fn sender(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(self.sender.insert(sender));
        }
        let sender = connect(&*self.server.authority).await?;
        Ok(self.sender.insert(sender))
    }
}

/// Connects to a server.
pub(crate) async fn connect(to: impl ToSocketAddrs) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with its sender; what broke it is what the request says.
    tokio::spawn(connection);
    Ok(sender)
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// The schema of the rule set that a server has in force.
pub(crate) async fn schema(client: &mut Client) -> anyhow::Result<rules::schema::Schema> {
    #[derive(serde::Deserialize)]
    struct InForce {
        files: std::collections::BTreeMap<String, String>,
    }
    let answer = client.ask(Method::GET, "/v1/rules", Vec::new()).await?;
    ensure!(
        answer.status != StatusCode::UNAUTHORIZED,
        "the server refuses the key: {}",
        super::answer::problem(&answer)
    );
    ensure!(
        answer.status == StatusCode::OK,
        "the server does not show its rules ({}): name them with `--rules`",
        super::answer::problem(&answer)
    );
    let InForce { files } =
        serde_json::from_slice(&answer.body).context("the server's rules are not readable")?;
    let sources = files.iter().filter(|(name, _)| name.ends_with(".weir"));
    let sources: Vec<_> = sources.map(|(name, text)| rules::diagnostic::Source { name, text }).collect();
    let checked = rules::check::check(&sources).rule_set;
    Ok(checked.context("the server's rules are of another version of Weir: name them with `--rules`")?.schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |url: &str, expected: Option<&str>| {
            let server = Server::new(url, "k", "none");
            assert_eq!(server.ok().map(|it| it.authority).as_deref(), expected, "{url}");
        };
        check("http://127.0.0.1:7878", Some("127.0.0.1:7878"));
        check("http://weir/", Some("weir:80"));
        check("http://[::1]:1", Some("[::1]:1"));
        for wrong in ["", "127.0.0.1:7878", "https://weir", "http://weir/v1", "weir", "http://"] {
            check(wrong, None);
        }
        assert!(!format!("{:?}", Server::new("http://a", "secret", "none").unwrap()).contains("secret"));
    }
}
