//! The bodies of frames as they are encoded, and their way into [`super::event`]: all but commits, which are nearly all.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::event::{AccountFrame, AccountStatus, ErrorFrame, IdentityFrame, InfoFrame, SyncFrame};
use super::{FrameProblem, SYNC_BLOCKS_BYTES_MAX};
use crate::proto::cbor;
use crate::syntax::Handle;

/// Characters of foreign text that is only ever shown.
const TEXT_CHARS_MAX: usize = 300;

#[derive(Deserialize)]
pub(super) struct Header<'a> {
    pub op: i64,
    pub t: Option<&'a str>,
}

#[derive(Deserialize)]
struct Sync<'a> {
    seq: i64,
    did: &'a str,
    rev: &'a str,
    #[serde(borrow)]
    blocks: &'a serde_bytes::Bytes,
    time: &'a str,
}

#[derive(Deserialize)]
struct Identity<'a> {
    seq: i64,
    did: &'a str,
    handle: Option<&'a str>,
    time: &'a str,
}

#[derive(Deserialize)]
struct Account<'a> {
    seq: i64,
    did: &'a str,
    active: bool,
    status: Option<&'a str>,
    time: &'a str,
}

#[derive(Deserialize)]
struct Info<'a> {
    name: &'a str,
    message: Option<&'a str>,
}

#[derive(Deserialize)]
struct Error<'a> {
    error: &'a str,
    message: Option<&'a str>,
}

pub(super) fn sync(message: &Bytes, body: &[u8]) -> Result<SyncFrame, FrameProblem> {
    let wire: Sync<'_> = cbor::decode(body)?;
    Ok(SyncFrame {
        seq: seq(wire.seq)?,
        did: parse("did", wire.did)?,
        rev: parse("rev", wire.rev)?,
        blocks: blocks(message, wire.blocks, SYNC_BLOCKS_BYTES_MAX)?,
        time: time(wire.time),
    })
}

pub(super) fn identity(body: &[u8]) -> Result<IdentityFrame, FrameProblem> {
    let wire: Identity<'_> = cbor::decode(body)?;
    Ok(IdentityFrame {
        seq: seq(wire.seq)?,
        did: parse("did", wire.did)?,
        handle: wire
            .handle
            .filter(|handle| handle.len() <= 253)
            .and_then(|handle| Handle::normalized(handle).ok()),
        time: time(wire.time),
    })
}

pub(super) fn account(body: &[u8]) -> Result<AccountFrame, FrameProblem> {
    let wire: Account<'_> = cbor::decode(body)?;
    let status = wire.status.map(|word| match word {
        "takendown" => AccountStatus::Takendown,
        "suspended" => AccountStatus::Suspended,
        "deleted" => AccountStatus::Deleted,
        "deactivated" => AccountStatus::Deactivated,
        "desynchronized" => AccountStatus::Desynchronized,
        "throttled" => AccountStatus::Throttled,
        other => AccountStatus::Other(shortened(other)),
    });
    Ok(AccountFrame {
        seq: seq(wire.seq)?,
        did: parse("did", wire.did)?,
        active: wire.active,
        status,
        time: time(wire.time),
    })
}

pub(super) fn info(body: &[u8]) -> Result<InfoFrame, FrameProblem> {
    let wire: Info<'_> = cbor::decode(body)?;
    Ok(InfoFrame { name: shortened(wire.name), message: wire.message.map(shortened) })
}

pub(super) fn error(body: &[u8]) -> Result<ErrorFrame, FrameProblem> {
    let wire: Error<'_> = cbor::decode(body)?;
    Ok(ErrorFrame { error: shortened(wire.error), message: wire.message.map(shortened) })
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

pub(super) fn seq(number: i64) -> Result<i64, FrameProblem> {
    if number < 0 { Err(FrameProblem::BadField("seq")) } else { Ok(number) }
}

pub(super) fn parse<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, FrameProblem> {
    text.parse().map_err(|_| FrameProblem::BadField(field))
}

pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// The part of the message that `blocks` borrows from, without a copy.
pub(super) fn blocks(message: &Bytes, blocks: &[u8], max_bytes: usize) -> Result<Bytes, FrameProblem> {
    if blocks.len() > max_bytes {
        return Err(FrameProblem::BlocksTooLarge(blocks.len()));
    }
    Ok(message.slice_ref(blocks))
}
