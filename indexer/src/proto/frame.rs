//! The frames of `com.atproto.sync.subscribeRepos`: a header and a body, both DAG-CBOR, in one binary message.
//!
//! Unknown fields are passed over and unknown kinds of events named; what is known must have its type. A frame that
//! cannot be read still tells its seq and account where possible, so that it can be kept aside under them.
//!
//! <https://atproto.com/specs/event-stream>, <https://atproto.com/specs/sync>

mod commit;
mod event;
mod wire;

use bytes::Bytes;

pub use event::{
    AccountFrame, AccountStatus, Action, CommitFrame, ErrorFrame, IdentityFrame, InfoFrame, RepoOp,
    SyncFrame, UnknownFrame,
};

use super::cbor::{self, CborError, Scalar};
use crate::syntax::Did;

/// Bytes that a frame may have.
pub const FRAME_BYTES_MAX: usize = 5_000_000;
/// Bytes that the blocks of a commit may have.
pub const COMMIT_BLOCKS_BYTES_MAX: usize = 2_000_000;
/// Bytes that the blocks of a sync event may have.
pub const SYNC_BLOCKS_BYTES_MAX: usize = 10_000;
/// Bytes that a record in a commit may have.
pub const RECORD_BYTES_MAX: usize = 1_000_000;
/// Operations that a commit may have.
pub const OPS_MAX: usize = 200;

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Records of a repo changed.
    Commit(Box<CommitFrame>),
    /// A repo is in another state than the commits before would have it.
    Sync(SyncFrame),
    /// An account's DID document or handle may have changed.
    Identity(IdentityFrame),
    /// An account is active on the sending host, or is not.
    Account(AccountFrame),
    /// The sender has something to say about the stream.
    Info(InfoFrame),
    /// The stream ends with this.
    Error(ErrorFrame),
    /// Something newer than this code, to be passed over.
    Unknown(UnknownFrame),
}

/// A frame that cannot be read, with what could be read of it all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("frame {} of {}: {problem}", seq.map_or("?".into(), |seq| seq.to_string()), did.as_ref().map_or("?", Did::as_str))]
pub struct FrameError {
    /// The event's place in the stream, if it could be made out.
    pub seq: Option<i64>,
    /// The event's account, if it could be made out.
    pub did: Option<Did>,
    /// What is wrong.
    pub problem: FrameProblem,
}

/// What makes a frame unreadable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameProblem {
    /// More than [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes")]
    FrameTooLarge(usize),
    /// More than [`COMMIT_BLOCKS_BYTES_MAX`] or [`SYNC_BLOCKS_BYTES_MAX`].
    #[error("blocks of {0} bytes")]
    BlocksTooLarge(usize),
    /// More than [`OPS_MAX`].
    #[error("{0} operations")]
    TooManyOps(usize),
    /// Not two items of DAG-CBOR, or not with the fields that belong there.
    #[error("a frame that is {0}")]
    FrameMalformed(#[from] CborError),
    /// A field of the right type whose value is none.
    #[error("a bad value of {0}")]
    BadField(&'static str),
}

impl FrameProblem {
    /// A name that stays, for logs, metrics and the table of problems.
    pub fn name(&self) -> &'static str {
        match self {
            FrameProblem::FrameTooLarge(_) => "FrameTooLarge",
            FrameProblem::BlocksTooLarge(_) => "BlocksTooLarge",
            FrameProblem::TooManyOps(_) => "TooManyOps",
            FrameProblem::FrameMalformed(_) => "FrameMalformed",
            FrameProblem::BadField(_) => "BadField",
        }
    }
}

impl Frame {
    /// Reads one message. The blocks of events share the message's memory.
    pub fn decode(message: &Bytes) -> Result<Self, FrameError> {
        decode(message).map_err(|problem| {
            let (seq, did) = seq_and_did(message);
            FrameError { seq, did, problem }
        })
    }

    /// The same with the message in memory of its own: a message is a slice of the socket's buffer, and what waits must not
    /// keep all that came beside it.
    pub fn alone(mut self, message: &Bytes) -> (Self, Bytes) {
        let own = Bytes::copy_from_slice(message);
        let moved = |part: &Bytes| {
            let start = (part.as_ptr() as usize).checked_sub(message.as_ptr() as usize);
            // What is no part of the message is copied as well.
            let start = start.filter(|start| start + part.len() <= own.len());
            start.map_or_else(|| Bytes::copy_from_slice(part), |start| own.slice(start..start + part.len()))
        };
        match &mut self {
            Frame::Commit(event) => event.blocks = moved(&event.blocks),
            Frame::Sync(event) => event.blocks = moved(&event.blocks),
            Frame::Identity(_) | Frame::Account(_) | Frame::Info(_) | Frame::Error(_) | Frame::Unknown(_) => {
            }
        }
        (self, own)
    }

    /// The event's place in the stream; `#info` and errors have none.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Frame::Commit(event) => Some(event.seq),
            Frame::Sync(event) => Some(event.seq),
            Frame::Identity(event) => Some(event.seq),
            Frame::Account(event) => Some(event.seq),
            Frame::Unknown(event) => event.seq,
            Frame::Info(_) | Frame::Error(_) => None,
        }
    }

    /// Whom the event is about.
    pub fn did(&self) -> Option<&Did> {
        match self {
            Frame::Commit(event) => Some(&event.repo),
            Frame::Sync(event) => Some(&event.did),
            Frame::Identity(event) => Some(&event.did),
            Frame::Account(event) => Some(&event.did),
            Frame::Unknown(event) => event.did.as_ref(),
            Frame::Info(_) | Frame::Error(_) => None,
        }
    }
}

fn decode(message: &Bytes) -> Result<Frame, FrameProblem> {
    if message.len() > FRAME_BYTES_MAX {
        return Err(FrameProblem::FrameTooLarge(message.len()));
    }
    // Nearly every frame there is. With more in its header it is read below.
    if let Some(body) = message.strip_prefix(commit::HEADER) {
        return commit::read(message, body).map(|event| Frame::Commit(Box::new(event)));
    }
    let (header, body) = message.split_at(cbor::item_len(message)?);
    let header: wire::Header<'_> = cbor::decode(header)?;
    match (header.op, header.t) {
        (-1, _) => wire::error(body).map(Frame::Error),
        (1, Some("#commit")) => commit::read(message, body).map(|event| Frame::Commit(Box::new(event))),
        (1, Some("#sync")) => wire::sync(message, body).map(Frame::Sync),
        (1, Some("#identity")) => wire::identity(body).map(Frame::Identity),
        (1, Some("#account")) => wire::account(body).map(Frame::Account),
        (1, Some("#info")) => wire::info(body).map(Frame::Info),
        (1, None) => Err(FrameProblem::BadField("t")),
        (op, t) => {
            let (seq, did) = seq_and_did(message);
            Ok(Frame::Unknown(UnknownFrame { op, kind: t.map(wire::shortened), seq, did }))
        }
    }
}

/// What can be made out of a frame without decoding it: even when fields are missing, of other types or not canonical,
/// and up to where it is cut off.
fn seq_and_did(message: &[u8]) -> (Option<i64>, Option<Did>) {
    let (mut seq, mut did) = (None, None);
    let body = cbor::item_len_leniently(message).and_then(|len| message.get(len..)).unwrap_or_default();
    cbor::scalars_leniently(body, |key, value| match (key, value) {
        ("seq", Scalar::Integer(number)) => seq = Some(number),
        ("did" | "repo", Scalar::Text(text)) => did = text.parse().ok(),
        _ => {}
    });
    (seq, did)
}

#[cfg(test)]
mod tests;
