//! The pages whose answers are measured: as many as a client can turn, another each time.

use super::SIZE;
use super::seed;

/// A page that begins elsewhere with each number.
pub type Question = fn(usize) -> String;

/// What is asked, by name. Whoever asks is nobody, so that nothing of one person's own is among them; charts are measured over plays.
/// Of `/albums/` there is one answer for all, which is kept.
pub const KINDS: [(&str, Question); 19] = [
    ("getLatest", latest),
    ("getTrack", |nth| format!("/xrpc/fm.plyr.feed.getTrack?uri={}", nth_track(nth))),
    ("getActorTracks", |nth| {
        format!("/xrpc/fm.plyr.feed.getActorTracks?actor={}&limit={}", nth_artist(nth), 50 + nth / 1000 % 50)
    }),
    ("getActorLikes", |nth| {
        format!("/xrpc/fm.plyr.feed.getActorLikes?actor={}&limit={}", nth_artist(nth), 50 + nth / 1000 % 50)
    }),
    ("getLikes", |nth| format!("/xrpc/fm.plyr.feed.getLikes?uri={}", nth_track(nth))),
    ("getComments", |nth| format!("/xrpc/fm.plyr.feed.getComments?uri={}", nth_track(nth))),
    ("getTagTracks", |nth| {
        format!(
            "{}&tag={}",
            latest(nth).replace("getLatest", "getTagTracks"),
            ["soma", "ste", "ga", "fuma"][nth % 4]
        )
    }),
    ("getTags", |nth| format!("/xrpc/fm.plyr.feed.getTags?limit={}", 1 + nth % 100)),
    ("getLists", |nth| {
        format!("/xrpc/fm.plyr.list.getLists?actor={}&limit={}", nth_artist(nth), 1 + nth / 1000 % 100)
    }),
    ("getAlbum", |nth| {
        format!(
            "/xrpc/fm.plyr.list.getAlbum?actor={}&slug=album-{}&limit={}",
            nth_artist(nth),
            nth / 1000 % 5,
            50 + nth / 5000 % 50
        )
    }),
    ("getActivity", |nth| latest(nth).replace("getLatest", "getActivity").replace("cursor=74", "cursor=65")),
    ("/tracks/{id}", |nth| format!("/tracks/{}", 1 + nth * 7919 % SIZE.tracks)),
    ("/albums/{handle}/{slug}", |nth| format!("/albums/{}/album-{}", nth_artist(nth), nth / 1000 % 5)),
    ("getProfile", |nth| format!("/xrpc/fm.plyr.actor.getProfile?actor={}", nth_artist(nth))),
    ("/tracks/", |nth| format!("/tracks/?limit=50&cursor={}", nth_moment(nth))),
    ("getList", |nth| {
        format!("/xrpc/fm.plyr.list.getList?uri={}&limit={}", nth_list(nth), 1 + nth / 5000 % 100)
    }),
    ("/activity/", |nth| format!("/activity/?limit=50&cursor={}", nth_moment(nth))),
    ("/artists/{did}", |nth| format!("/artists/{}", nth_artist(nth))),
    ("/albums/{handle}", |nth| format!("/albums/{}", nth_artist(nth))),
];

/// A text in an address.
pub fn escaped(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

/// A page that begins somewhere in the year, another each time.
pub fn latest(nth: usize) -> String {
    let us = 1_735_689_600_000_000i64 + (nth as i64 * 7_919_000_003) % 20_000_000_000_000;
    let name: String = "did:plc:a/fm.plyr.track/a".bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("/xrpc/fm.plyr.feed.getLatest?limit=50&cursor=74{us:016x}{name}")
}

fn nth_artist(nth: usize) -> String {
    seed::did(nth * 37 % SIZE.artists)
}

fn nth_track(nth: usize) -> String {
    escaped(&seed::track(nth * 7919 % SIZE.tracks, SIZE.artists))
}

/// The list of an album, as they are seeded: each artist has five.
fn nth_list(nth: usize) -> String {
    let album = char::from(b'g' + (nth / 1000 % 5) as u8);
    escaped(&format!("at://{}/fm.plyr.list/3albuma{album}xx", nth_artist(nth)))
}

/// A moment of the year, after its first tracks, as older clients keep it.
fn nth_moment(nth: usize) -> String {
    let (month, day, hour) = (2 + nth % 7, 1 + nth / 8 % 28, nth / 224 % 24);
    format!("2025-0{month}-{day:02}T{hour:02}:{:02}:{:02}Z", nth % 60, nth / 60 % 60)
}
