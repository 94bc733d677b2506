//! A sound too large for its artist's PDS, and for the memory of anybody who would hold it whole.

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{completed, files, follow, form_request, head, records, sound, tail};
use crate::world::{Account, Person, Plyr, network::Network, pds, run};

const MB: usize = 1 << 20;

/// What the process may have in memory at any time, in kB: less than what passes through it, by far. Some sixty of these MB are the
/// program itself, as it is built for tests, and half of the others a cover while it is made smaller.
const PEAK_MAX_KB: u64 = 240 * 1024;

/// A WAV of so many MB that nobody has to store: its bytes are made as they are sent.
fn body(
    sound_mb: usize,
    cover: &[u8],
) -> (u64, impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> + use<>) {
    let title = [head("title", None).as_bytes(), b"a long mix\r\n"].concat();
    let image = [head("image", Some("cover")).as_bytes(), cover, b"\r\n"].concat();
    let mut first = [title, image, head("file", Some("mix.wav")).into_bytes()].concat();
    let data_bytes = (sound_mb * MB - 44) as u32;
    let before = first.len();
    first.extend_from_slice(b"RIFF");
    first.extend_from_slice(&(data_bytes + 36).to_le_bytes());
    first.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x02\0\x44\xac\0\0\x10\xb1\x02\0\x04\0\x10\0data");
    first.extend_from_slice(&data_bytes.to_le_bytes());
    first.resize(before + MB, 1);
    let middle = (1..sound_mb).map(|number| Bytes::from(vec![number as u8; MB]));
    let last = Bytes::from(format!("\r\n{}", tail()));
    let size = first.len() + (sound_mb - 1) * MB + last.len();
    let pieces = std::iter::once(Bytes::from(first)).chain(middle).chain(std::iter::once(last));
    (size as u64, futures_util::stream::iter(pieces.map(Ok)))
}

#[test]
fn three_hundred_megabytes_pass_in_little_memory() {
    run(async {
        let net = Network::start(&[("BLOB_LIMIT_BYTES", "83886080")]);
        let plyr = Plyr::up(&net).await;
        let artist = Person::sign_in(&plyr, &Account::create(&net, "artist").await).await;
        // What the PDS takes passes through to it.
        let mut sent_mb = 70..78;
        // On a machine on which none of these takes a moment, there is nothing in between to be seen.
        for sound_mb in sent_mb.by_ref() {
            let messages = follow(&plyr, &send(&artist, sound_mb, b"").await).await;
            let last = messages.last().expect("a message");
            assert_eq!(
                (&last["status"], &last["pds_blob_failed"]),
                (&json!("completed"), &json!(false)),
                "{last}"
            );
            let record = records(&artist.account).await.remove(0);
            assert_eq!(record["value"]["audioBlob"]["size"], sound_mb * MB);
            let percents =
                messages.iter().map(|message| message["server_progress_pct"].as_f64().expect("a number"));
            let percents: Vec<f64> = percents.collect();
            assert!(percents.is_sorted() && percents.last() == Some(&100.0), "{percents:?}");
            // Somebody who looks a few times a second may miss all of it, but not always.
            if percents.iter().any(|percent| (10.0..90.0).contains(percent)) {
                break;
            }
        }
        let passed = 8 - sent_mb.len();
        // What it does not, stays here.
        // Beside it a cover that fills what reading one may take: 8 bytes for each of its pixels.
        let cover = sound::picture("3400x3400", "png16");
        let last = completed(&plyr, &send(&artist, 300, &cover).await).await;
        assert_eq!(last["pds_blob_failed"], true);
        let warning = last["warnings"][0].as_str().expect("a warning");
        assert!(warning.contains("300 MB") && warning.contains("at most 80 MB"), "{warning}");
        let record = records(&artist.account).await.remove(0);
        let value = &record["value"];
        assert_eq!((&value["audioBlob"], &value["duration"]), (&Value::Null, &json!(1783)));
        let track = plyr.track(record["uri"].as_str().expect("a uri")).await.expect("it is shown");
        assert_eq!(track["audio"], value["audioUrl"]);
        assert!(track["cover"].is_string() && track["thumbnail"].is_string(), "{track}");
        let url = track["audio"].as_str().expect("a URL");
        let part = pds::http()
            .get(url)
            .header("range", "bytes=104857600-104857609")
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            (part.status().as_u16(), &part.bytes().await.expect("bytes")[..]),
            (206, &[100u8; 10][..])
        );
        // Only we have it: neither the collector nor a rebuild may lose it.
        super::collector::collect_now(&plyr).await;
        assert!(plyr.command(&["rebuild"]).output().expect("plyr runs").status.success());
        super::collector::collect_now(&plyr).await;
        // What passed, what stays, the cover and its thumbnail.
        assert_eq!(files(&plyr).len(), passed + 3);
        let part = pds::http().get(url).header("range", "bytes=0-3").send().await.expect("an answer");
        assert_eq!(&part.bytes().await.expect("bytes")[..], b"RIFF");
        // One that would take more is left out, and its artist told.
        let cover = sound::picture("3700x3700", "png16");
        let last = completed(&plyr, &send(&artist, 1, &cover).await).await;
        let warning = last["warnings"][0].as_str().expect("a warning");
        assert!(warning.contains("3700 × 3700") && warning.contains("96 MB"), "{warning}");
        let peak_kb = peak_kb(&plyr);
        assert!(peak_kb < PEAK_MAX_KB, "{peak_kb} kB at its largest");
        println!("370 MB passed, {peak_kb} kB at its largest");
    });
}

async fn send(artist: &Person, sound_mb: usize, cover: &[u8]) -> String {
    let (size_bytes, stream) = body(sound_mb, cover);
    let request = form_request(artist).header("content-length", size_bytes);
    let answer = artist.agent.send(request.body(reqwest::Body::wrap_stream(stream))).await.good();
    answer["upload_id"].as_str().expect("an id").to_owned()
}

/// The largest the process ever was.
fn peak_kb(plyr: &Plyr) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", plyr.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
