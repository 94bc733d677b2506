//! An event that was kept aside, read once more.

use bytes::Bytes;

use super::{Kind, jetstream, verify};
use crate::Indexer;
use crate::change::{Input, Problem};
use crate::proto::frame::Frame;

/// What an event says, as if it had just been received from that source. None where the source's kind is not known, so
/// that nobody can tell how to read it.
pub(crate) async fn read(indexer: &Indexer, source: &str, message: &Bytes) -> Option<Vec<Input>> {
    Some(match Kind::from_word(source.split_once('+')?.0)? {
        Kind::Repos => frame(indexer, message).await,
        Kind::Jetstream1 => jetstream::inputs(jetstream::Dialect::V1, message),
        Kind::Jetstream2 => jetstream::inputs(jetstream::Dialect::V2, message),
    })
}

async fn frame(indexer: &Indexer, message: &Bytes) -> Vec<Input> {
    match Frame::decode(message) {
        Ok(frame) => verify::verify(indexer, frame.seq().unwrap_or_default(), &frame, message).await,
        Err(error) => {
            let (kind, detail) = (error.problem.name(), error.problem.to_string());
            vec![Input::Problem(Problem {
                kind,
                seq: error.seq,
                did: error.did,
                detail,
                ..Problem::default()
            })]
        }
    }
}
