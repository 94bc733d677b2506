//! Whoever is sent events has to read them.
//!
//! A listener that stops reading is noticed by nobody: its socket stays full, nothing is asked of its stream any more, and it keeps
//! its place. So a connection that events go out on ends when nothing of them has left for a while. Others may rest: a player that
//! pauses leaves the rest of a track unread.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// For so long a listener may read nothing of what waits for it.
const STILL_MAX: Duration = Duration::from_secs(30);

/// Whether who is at the other end of a connection must read what is sent. Clones are of the same connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader(Arc<AtomicBool>);

impl Reader {
    /// From now on they must.
    pub(crate) fn must_read(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream that ends when its reader must read and does not.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    reader: Reader,
    /// Since something waits to be written.
    still: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, reader: Reader) -> Self {
        Watched { stream, reader, still: None }
    }

    /// What came of trying to write.
    fn judge<T>(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if tried.is_ready() || !self.reader.0.load(Ordering::Relaxed) {
            self.still = None;
            return tried;
        }
        let still = self.still.get_or_insert_with(|| Box::pin(sleep(STILL_MAX)));
        ready!(still.as_mut().poll(cx));
        metrics::counter!("plyr_live_stuck_total").increment(1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing of what is sent is read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, tried)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, tried)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
