//! What a Jetstream would say of the same commits.

use bytes::Bytes;
use indexer::dag;
use indexer::proto::car::{Blocks, CarLimits};
use indexer::proto::frame::{Action, Frame};
use serde_json::json;

/// The events of these frames, in the newer dialect.
pub fn as_jetstream(frames: &[Bytes]) -> anyhow::Result<Vec<Bytes>> {
    let mut events = Vec::with_capacity(frames.len());
    for frame in frames {
        let Frame::Commit(commit) = Frame::decode(frame)? else { continue };
        let blocks = Blocks::read(&commit.blocks, &CarLimits::COMMIT)?;
        for op in &commit.ops {
            let (collection, rkey) = op.path.split_once('/').unwrap_or_default();
            let operation = match op.action {
                Action::Create => "create",
                Action::Update => "update",
                Action::Delete => "delete",
            };
            let mut payload = json!({
                "$type": "network.bsky.jetstream.subscribeEvents#commit", "seq": events.len() + 1, "did": commit.repo,
                "time": "2026-01-02T03:04:05.678Z", "rev": commit.rev, "operation": operation,
                "collection": collection, "rkey": rkey,
            });
            if let Some(bytes) = op.cid.as_ref().and_then(|cid| blocks.get(cid)) {
                payload["cid"] = json!(op.cid.map(|cid| cid.to_string()));
                payload["record"] = dag::to_json(&dag::decode(bytes)?);
            }
            let event = json!({"$type": "message", "payload": payload});
            events.push(Bytes::from(serde_json::to_vec(&event)?));
        }
    }
    Ok(events)
}
