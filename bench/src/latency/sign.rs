//! By what a client knows that a frame has arrived.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use indexer::dag;
use indexer::proto::car::{Blocks, CarLimits};
use indexer::proto::frame::Frame;

/// What `fm.plyr.feed.getTracks` says of a track from then on.
#[derive(Debug, Clone)]
pub struct Sign {
    /// The track.
    pub uri: String,
    /// Its number of likes or comments; none where the track itself is new.
    pub count: Option<(&'static str, i64)>,
}

/// The tracks of a stream, as its frames make them. Two commits of one track by different people may be applied in either
/// order: then each is taken for the other, and what is measured of the two together stays true.
#[derive(Debug, Default)]
pub struct Signs {
    likers: HashMap<String, HashSet<String>>,
    comments: HashMap<String, i64>,
}

impl Signs {
    /// The sign of the next frame. None where there is no such: of plays, which are not counted one for one, and of likes by
    /// people who like the track already.
    pub fn of(&mut self, frame: &Bytes) -> anyhow::Result<Option<Sign>> {
        let Frame::Commit(commit) = Frame::decode(frame)? else { return Ok(None) };
        let blocks = Blocks::read(&commit.blocks, &CarLimits::COMMIT)?;
        let Some(op) = commit.ops.first() else { return Ok(None) };
        let Some(bytes) = op.cid.as_ref().and_then(|cid| blocks.get(cid)) else { return Ok(None) };
        let record = dag::to_json(&dag::decode(bytes)?);
        let subject = record["subject"]["uri"].as_str().map(str::to_owned);
        let collection = op.path.split('/').next().unwrap_or_default();
        Ok(match (collection, subject) {
            ("fm.plyr.track", _) => {
                Some(Sign { uri: format!("at://{}/{}", commit.repo, op.path), count: None })
            }
            ("fm.plyr.like", Some(uri)) => {
                let likers = self.likers.entry(uri.clone()).or_default();
                let is_first = likers.insert(commit.repo.to_string());
                is_first.then_some(Sign { uri, count: Some(("likeCount", likers.len() as i64)) })
            }
            ("fm.plyr.comment", Some(uri)) => {
                let comments = self.comments.entry(uri.clone()).or_default();
                *comments += 1;
                Some(Sign { uri, count: Some(("commentCount", *comments)) })
            }
            _ => None,
        })
    }
}
