//! One event of either protocol, on its way from the socket to the door.

use bytes::Bytes;

use super::jetstream::{self, Dialect, What};
use super::verify;
use crate::Indexer;
use crate::change::Input;
use crate::proto::frame::Frame;
use crate::syntax::{AtUri, Did};

/// Of one commit; who likes more in one is read when the post is known.
const AWAITED_MAX: usize = 64;

/// An event as it was received.
pub(super) enum Told {
    /// A frame of subscribeRepos.
    Frame(Frame),
    /// JSON of a Jetstream.
    Json {
        dialect: Dialect,
        what: What,
        /// Nothing was known of the repo before: it is to be read as a whole.
        is_first: bool,
    },
    /// Of either: likes, reposts and quotes, and the young posts that they may be of. Read no further, and not verified: each is asked
    /// for where it is found to matter.
    Awaited { likes: Vec<AtUri>, posts: Vec<AtUri> },
}

impl Told {
    /// Whether what it says of records is in the repo too.
    pub fn is_in_repo(&self) -> bool {
        !matches!(
            self,
            Told::Frame(Frame::Identity(_) | Frame::Account(_))
                | Told::Json { what: What::Identity | What::Account, .. }
        )
    }

    /// What it says to the door, verified as far as it can be.
    pub async fn inputs(&self, indexer: &Indexer, seq: i64, message: &Bytes) -> Vec<Input> {
        match self {
            Told::Frame(frame) => verify::verify(indexer, seq, frame, message).await,
            Told::Awaited { likes, posts } => {
                let pairs = likes.iter().flat_map(|like| posts.iter().map(move |post| (like, post)));
                pairs
                    .take(AWAITED_MAX)
                    .map(|(like, post)| Input::Awaited { like: like.clone(), post: post.clone() })
                    .collect()
            }
            Told::Json { dialect, is_first, .. } => {
                let mut inputs = jetstream::inputs(*dialect, message);
                for did in inputs.iter().filter_map(identity).collect::<Vec<_>>() {
                    indexer.identity.invalidate(&did).await;
                }
                let reported = inputs.iter().find_map(|input| match input {
                    Input::Report(report) if *is_first => Some(report.uri.did()),
                    _ => None,
                });
                inputs.extend(reported.map(|did| Input::Missed { did }));
                inputs
            }
        }
    }
}

fn identity(input: &Input) -> Option<Did> {
    if let Input::Identity { did } = input { Some(did.clone()) } else { None }
}
