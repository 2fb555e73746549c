//! One connection, from its first byte to its last.

mod wire;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::wire::Wire;
use crate::entrance::Front;
use crate::limits::{LINGER_BYTES_MAX, LINGER_TIME_MAX, STOP_QUIET_MAX};
use crate::problem::{Code, Problem};

/// Answers what comes in until the client leaves, is too slow, or the server stops: then the request that is being
/// answered is the last.
pub(crate) async fn serve(stream: TcpStream, front: Arc<Front>) {
    let (headers_in, mut stopping) = (front.app.patience.headers, front.app.traffic.stopping());
    // A small answer goes out at once.
    let _ = stream.set_nodelay(true);
    // A machine that is gone says nothing. Where the system cannot be told how long that may be, it is some minutes.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, millis(headers_in));
    let busy = Arc::new(AtomicBool::new(false));
    let is_busy = Arc::clone(&busy);
    // In a box, for a connection that is taken apart at its end must be movable until then.
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (front, busy) = (Arc::clone(&front), Arc::clone(&busy));
        Box::pin(async move {
            busy.store(true, Ordering::Relaxed);
            let answer = front.answer(request).await;
            busy.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        })
    });
    let mut http = Builder::new();
    // What was accepted is decided whether or not its client still waits: nobody looks for its leaving, which would
    // cost each request a read. Of a stream it is seen when the next sign of life cannot be sent.
    // An answer is short: its body is copied behind its head, which costs less than writing from two places.
    http.writev(false).half_close(true).timer(TokioTimer::new()).header_read_timeout(headers_in);
    let mut connection = http.serve_connection(TokioIo::new(Wire::new(stream, headers_in)), service);
    let mut served = poll_fn(|context| connection.poll_without_shutdown(context));
    let ended = tokio::select! {
        biased;
        ended = &mut served => Some(ended),
        _ = stopping.wait_for(|it| *it) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            let mut served = poll_fn(|context| connection.poll_without_shutdown(context));
            loop {
                match tokio::time::timeout(STOP_QUIET_MAX, &mut served).await {
                    Ok(ended) => break ended,
                    Err(_) if is_busy.load(Ordering::Relaxed) => {}
                    // A request that is not there yet was not accepted.
                    Err(_) => break Ok(()),
                }
            }
        }
    };
    let Parts { io, read_buf, .. } = connection.into_parts();
    let (mut stream, refused) = io.into_inner().into_parts();
    // Whoever has begun a request is told why it is not answered.
    let problem = match (refused, ended) {
        (Some(status), ended) => Some(no_request(status, ended.err())),
        (None, Err(error)) if error.is_timeout() && !read_buf.is_empty() => Some(too_slow(headers_in)),
        _ => None,
    };
    // A client that went away is no matter of ours.
    if let Some(problem) = problem {
        let _ = tokio::time::timeout(LINGER_TIME_MAX, stream.write_all(&problem.on_the_wire())).await;
    }
    let _ = stream.shutdown().await;
    tokio::select! {
        () = linger(stream) => {}
        _ = stopping.wait_for(|it| *it) => {}
    }
}

#[cfg(target_os = "linux")]
fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

/// Why what came is no request.
fn no_request(status: StatusCode, why: Option<hyper::Error>) -> Problem {
    match status {
        StatusCode::URI_TOO_LONG => Problem::new(Code::UriTooLong, "the path and query are too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Problem::new(Code::HeadersTooLarge, "the headers are too many, or too long")
        }
        _ => {
            let why = why.map_or_else(String::new, |it| format!(": {it}"));
            Problem::new(Code::MalformedRequest, format!("what came is no HTTP/1.1 request{why}"))
        }
    }
}

fn too_slow(headers_in: Duration) -> Problem {
    let detail = format!("the headers were not there after {headers_in:?}: send them at once");
    Problem::new(Code::RequestTimeout, detail)
}

/// Takes what a client still sends, for a while: closed before, the connection would take away the answer that it has not
/// read yet (RFC 9112, 9.6).
async fn linger(stream: TcpStream) {
    let (mut sent, mut nowhere) = (stream.take(LINGER_BYTES_MAX), tokio::io::sink());
    let _ = tokio::time::timeout(LINGER_TIME_MAX, tokio::io::copy(&mut sent, &mut nowhere)).await;
}
