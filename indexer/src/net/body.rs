//! A response body with a limit.

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use reqwest::Response;

use super::NetError;

/// A body that ends in an error when it turns out larger than its limit, or when time runs out.
#[derive(Debug)]
pub struct Body {
    response: Response,
    size_bytes: Option<u64>,
    cap_bytes: u64,
    read_bytes: u64,
}

impl Body {
    /// Refuses at once where the host itself announces more than the limit.
    pub(super) fn new(response: Response, cap_bytes: u64) -> Result<Self, NetError> {
        let size_bytes = response.content_length();
        if size_bytes.is_some_and(|announced_bytes| announced_bytes > cap_bytes) {
            return Err(NetError::TooLarge { cap_bytes });
        }
        Ok(Body { response, size_bytes, cap_bytes, read_bytes: 0 })
    }

    /// The length the host announced, in bytes.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The next piece; None at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let Some(chunk) = self.response.chunk().await? else { return Ok(None) };
        self.read_bytes += chunk.len() as u64;
        if self.read_bytes > self.cap_bytes {
            return Err(NetError::TooLarge { cap_bytes: self.cap_bytes });
        }
        Ok(Some(chunk))
    }

    /// The rest of the body as one piece.
    pub async fn collect(mut self) -> Result<Bytes, NetError> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The rest of the body as a stream; nothing follows an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, NetError>> + Send + 'static {
        futures_util::stream::unfold(Some(self), |body| async move {
            let mut body = body?;
            match body.chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(body))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}
