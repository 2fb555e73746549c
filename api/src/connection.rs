//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::entrance::Front;
use crate::problem::{Code, Problem};

/// Answers what comes in until the client leaves, is too slow, or the server stops: then the request that is being
/// answered is the last.
pub(crate) async fn serve(stream: TcpStream, front: Arc<Front>) {
    let (headers_in, mut stopping) = (front.app.patience.headers, front.app.traffic.stopping());
    // A small answer goes out at once.
    let _ = stream.set_nodelay(true);
    // In a box, for a connection that is taken apart at its end must be movable until then.
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let front = Arc::clone(&front);
        Box::pin(async move { Ok::<_, Infallible>(front.answer(request).await) })
    });
    let mut http = Builder::new();
    // What was accepted is decided whether or not its client still waits: nobody looks for its leaving, which would
    // cost each request a read. Of a stream it is seen when the next sign of life cannot be sent.
    // An answer is short: its body is copied behind its head, which costs less than writing from two places.
    http.writev(false).half_close(true).timer(TokioTimer::new()).header_read_timeout(headers_in);
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
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
            poll_fn(|context| connection.poll_without_shutdown(context)).await
        }
    };
    let Parts { io, read_buf, .. } = connection.into_parts();
    let mut stream = io.into_inner();
    // Whoever has begun a request is told why it is not answered.
    if ended.is_err_and(|it| it.is_timeout()) && !read_buf.is_empty() {
        let detail = format!("the headers were not there after {headers_in:?}: send them at once");
        let _ = stream.write_all(&Problem::new(Code::RequestTimeout, detail).on_the_wire()).await;
    }
    // A client that went away is no matter of ours.
    let _ = stream.shutdown().await;
}
