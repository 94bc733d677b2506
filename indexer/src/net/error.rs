//! What can go wrong with a request, told apart by what the caller may do about it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;

/// Why a request brought nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetError {
    /// The URL leads where a name from the network must not: a private address, plain http, credentials.
    /// The same URL will be refused again.
    #[error("refused: {0}")]
    Refused(Arc<str>),
    /// A time limit ran out: connecting, idle, or in all.
    #[error("timed out")]
    Timeout,
    /// The body is larger than the caller accepts.
    #[error("the body is larger than {cap_bytes} bytes")]
    TooLarge {
        /// The limit it broke.
        cap_bytes: u64,
    },
    /// The host answered, with a status other than success.
    #[error("{0}")]
    Status(Box<Status>),
    /// The host was not asked: it wants to be left alone for so long from now on.
    #[error("the host wants to be left alone for {} s", .0.as_secs())]
    Resting(Duration),
    /// The answer cannot be read as what was asked for: not JSON of that shape, a redirect to nowhere.
    #[error("unreadable answer: {0}")]
    Malformed(Arc<str>),
    /// DNS knows no such name, or no address of it.
    #[error("no such name: {0}")]
    NoSuchName(Arc<str>),
    /// The host cannot be reached: DNS, connection, TLS, or the connection broke.
    #[error("unreachable: {0}")]
    Io(Arc<str>),
}

/// An answer without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The XRPC error name, e.g. `RepoNotFound`, where the body holds one.
    pub error: Option<String>,
    /// The XRPC error message for people, cut at 300 characters.
    pub message: Option<String>,
    /// How long the host asks us to wait before the next request; a day at most.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.code)?;
        self.error.as_ref().map_or(Ok(()), |error| write!(f, " {error}"))?;
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

impl NetError {
    /// Whether the same request may succeed later: time ran out, the host was away, busy or broken.
    pub fn is_transient(&self) -> bool {
        match self {
            NetError::Timeout | NetError::Io(_) | NetError::NoSuchName(_) | NetError::Resting(_) => true,
            NetError::Status(status) => matches!(status.code, 408 | 425 | 429 | 500..),
            NetError::Refused(_) | NetError::TooLarge { .. } | NetError::Malformed(_) => false,
        }
    }

    /// How long to wait before the same request: what the host asked for, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            NetError::Resting(rest) => Some(*rest),
            NetError::Status(status) => status.retry_after,
            _ => None,
        }
    }

    /// The status code and XRPC error name, where the host answered with one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            NetError::Status(status) => Some(status),
            _ => None,
        }
    }

    pub(super) fn refused(why: impl Into<Arc<str>>) -> Self {
        NetError::Refused(why.into())
    }

    pub(super) fn malformed(why: impl fmt::Display) -> Self {
        NetError::Malformed(why.to_string().into())
    }
}

impl From<reqwest::Error> for NetError {
    fn from(error: reqwest::Error) -> Self {
        let mut causes = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(cause) = next {
            // The guarded resolver's own verdict travels up through the connector.
            if let Some(ours) = cause.downcast_ref::<NetError>() {
                return ours.clone();
            }
            next = cause.source();
            causes.push(cause.to_string());
        }
        if error.is_timeout() {
            return NetError::Timeout;
        }
        // The innermost cause says what happened; the outer ones repeat the URL.
        NetError::Io(causes.pop().unwrap_or_default().into())
    }
}

impl Status {
    /// Reads what an unsuccessful answer says about itself.
    pub(super) fn read(code: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Xrpc {
            error: Option<String>,
            message: Option<String>,
        }
        let short = |text: String| text.chars().take(300).collect::<String>();
        let body: Option<Xrpc> = serde_json::from_slice(body).ok();
        let (error, message) = body.map_or((None, None), |body| (body.error, body.message));
        Status {
            code,
            error: error.map(short),
            message: message.map(short),
            retry_after: retry_after(headers, chrono::Utc::now().timestamp()),
        }
    }
}

/// `Retry-After` as seconds or a date (RFC 9110 §10.2.3), else the moment a PDS gives in `RateLimit-Reset`.
fn retry_after(headers: &HeaderMap, now_s: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let until = |moment_s: i64| Duration::from_secs(moment_s.saturating_sub(now_s).max(0) as u64);
    let asked = text("retry-after").and_then(|value| match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => chrono::DateTime::parse_from_rfc2822(value).ok().map(|date| until(date.timestamp())),
    });
    let wait = asked.or_else(|| text("ratelimit-reset")?.parse().ok().map(until));
    // A hostile host may ask for an eternity, which no clock can add up.
    wait.map(|wait| wait.min(Duration::from_secs(24 * 60 * 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_every_form() {
        let headers = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("header"));
            headers
        };
        let seconds = |headers: &HeaderMap| retry_after(headers, 1_445_412_470).map(|wait| wait.as_secs());
        assert_eq!(seconds(&headers("retry-after", "120")), Some(120));
        assert_eq!(seconds(&headers("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")), Some(10));
        assert_eq!(seconds(&headers("retry-after", "Tue, 21 Oct 2014 07:28:00 GMT")), Some(0));
        assert_eq!(seconds(&headers("ratelimit-reset", "1445412475")), Some(5));
        assert_eq!(seconds(&headers("retry-after", "18446744073709551615")), Some(86_400));
        assert_eq!(seconds(&headers("retry-after", "soon")), None);
        assert_eq!(seconds(&HeaderMap::new()), None);
    }
}
