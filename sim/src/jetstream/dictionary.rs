//! The dictionaries that messages are compressed by.

use std::sync::LazyLock;

/// The one of the dialect of times, which all servers share. From the crate jetstream-oxide (MIT); see the licence beside
/// it.
pub(super) static FIXED: &[u8] = include_bytes!("dictionary_v1.zdict");

/// Two for the dialect that counts, so that there is one to change to. Trained on events as they are sent: the same
/// samples make the same dictionary, number included.
static TRAINED: LazyLock<[Vec<u8>; 2]> =
    LazyLock::new(|| [train("app.bsky.feed.like"), train("fm.plyr.like")]);

/// One of the trained ones, with its number.
pub(super) fn trained(which: u64) -> (u32, &'static [u8]) {
    let bytes = &TRAINED[which as usize % 2];
    (zstd::zstd_safe::get_dict_id_from_dict(bytes).map_or(0, |id| id.get()), bytes)
}

fn train(collection: &str) -> Vec<u8> {
    let samples: Vec<String> = (0..2_000_u64).map(|index| sample(collection, index)).collect();
    zstd::dict::from_samples(&samples, 16 * 1024).unwrap_or_default()
}

/// An event like many, in which what differs from one to the next differs.
fn sample(collection: &str, index: u64) -> String {
    let noise = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let event = super::Event {
        did: format!("did:plc:{noise:024x}"),
        time_us: 1_780_000_000_000_000 + (noise >> 20) as i64,
        body: super::Body::Commit(super::Commit {
            rev: format!("3l{:011x}", noise >> 20),
            operation: super::Operation::Create,
            collection: collection.to_owned(),
            rkey: format!("3k{:011x}", noise >> 19),
            cid: Some(format!("bafyrei{noise:052x}")),
            record: Some(serde_json::json!({
                "$type": collection,
                "createdAt": format!("2026-07-{:02}T{:02}:00:00.000Z", index % 28 + 1, index % 24),
                "subject": {"cid": format!("bafyrei{:052x}", noise ^ 1), "uri": format!("at://did:plc:{:024x}/{collection}/{index}", noise ^ 2)},
            })),
            is_replacement: false,
        }),
    };
    super::wire::v2(&event, noise >> 24)
}
