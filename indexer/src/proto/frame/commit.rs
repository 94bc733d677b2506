//! The body of `#commit`, read field by field: of all that comes, it is what comes most.

use bytes::Bytes;
use cid::Cid;

use super::event::{Action, CommitFrame, RepoOp};
use super::wire::{blocks, parse, seq, time};
use super::{COMMIT_BLOCKS_BYTES_MAX, FrameProblem, OPS_MAX};
use crate::proto::cbor::{CborError, Reader};

/// The header of a commit that says nothing more.
pub(super) const HEADER: &[u8] = b"\xa2\x61t\x67#commit\x62op\x01";

const SHAPE: &str = "not the fields of a commit event";
const OP_SHAPE: &str = "not the fields of an operation";

pub(super) fn read(message: &Bytes, body: &[u8]) -> Result<CommitFrame, FrameProblem> {
    let mut reader = Reader::new(body);
    let (mut number, mut repo, mut commit, mut rev, mut since) = (None, None, None, None, None);
    let (mut bytes, mut ops, mut prev_data, mut sent) = (None, None, None, None);
    let mut last = None;
    for _ in 0..reader.canonical(5, SHAPE)? {
        match reader.key(&mut last)? {
            "seq" => number = Some(reader.integer(SHAPE)?),
            "repo" => repo = Some(reader.text(SHAPE)?),
            "commit" => commit = Some(cid(&mut reader)?),
            "rev" => rev = Some(reader.text(SHAPE)?),
            "since" => since = or_null(&mut reader, |reader| reader.text(SHAPE))?,
            "blocks" => bytes = Some(reader.byte_string()?),
            "ops" => ops = Some(read_ops(&mut reader)?),
            "prevData" => prev_data = or_null(&mut reader, cid)?,
            "time" => sent = Some(reader.text(SHAPE)?),
            _ => reader.skip()?,
        }
    }
    reader.end()?;
    let (Some(number), Some(repo), Some(commit), Some(rev)) = (number, repo, commit, rev) else {
        return Err(missing(SHAPE));
    };
    let (Some(bytes), Some(ops), Some(sent)) = (bytes, ops, sent) else { return Err(missing(SHAPE)) };
    Ok(CommitFrame {
        seq: seq(number)?,
        repo: parse("repo", repo)?,
        commit,
        rev: parse("rev", rev)?,
        since: since.map(|since| parse("since", since)).transpose()?,
        blocks: blocks(message, bytes, COMMIT_BLOCKS_BYTES_MAX)?,
        ops,
        prev_data,
        time: time(sent),
    })
}

fn read_ops(reader: &mut Reader<'_>) -> Result<Vec<RepoOp>, FrameProblem> {
    let count = usize::try_from(reader.canonical(4, SHAPE)?).unwrap_or(usize::MAX);
    if count > OPS_MAX {
        return Err(FrameProblem::TooManyOps(count));
    }
    (0..count).map(|_| read_op(reader)).collect()
}

fn read_op(reader: &mut Reader<'_>) -> Result<RepoOp, FrameProblem> {
    let (mut action, mut path, mut new, mut prev) = (None, None, None, None);
    let mut last = None;
    for _ in 0..reader.canonical(5, OP_SHAPE)? {
        match reader.key(&mut last)? {
            "action" => action = Some(reader.text(OP_SHAPE)?),
            "path" => path = Some(reader.text(OP_SHAPE)?),
            "cid" => new = or_null(reader, cid)?,
            "prev" => prev = or_null(reader, cid)?,
            _ => reader.skip()?,
        }
    }
    let (Some(action), Some(path)) = (action, path) else { return Err(missing(OP_SHAPE)) };
    let action = match action {
        "create" => Action::Create,
        "update" => Action::Update,
        "delete" => Action::Delete,
        _ => return Err(FrameProblem::BadField("action")),
    };
    Ok(RepoOp { action, path: path.to_owned(), cid: new, prev })
}

fn missing(shape: &str) -> FrameProblem {
    CborError::Shape(shape.to_owned()).into()
}

fn cid(reader: &mut Reader<'_>) -> Result<Cid, CborError> {
    let binary = reader.cid()?;
    Cid::try_from(binary).map_err(|_| CborError::NotCanonical("a link that is not a CID"))
}

fn or_null<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, CborError>,
) -> Result<Option<T>, CborError> {
    if reader.null() { Ok(None) } else { read(reader).map(Some) }
}
