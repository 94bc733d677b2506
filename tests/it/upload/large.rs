//! A sound too large for its artist's PDS, and for the memory of anybody who would hold it whole.

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{completed, files, follow, form_request, head, records, sound, tail};
use crate::world::{Account, Person, Plyr, network::Network, pds, run};

const MB: usize = 1 << 20;

/// By how much the process may grow while more than twice as much passes through it, in kB: what the program itself takes, as it is
/// built for tests, is no part of it. Nearly a hundred of these MB are a cover while it is made smaller.
const GROWTH_MAX_KB: u64 = 150 * 1024;
/// Sounds that are sent at once.
const AT_ONCE: usize = 4;

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
        let began_kb = peak_kb(&plyr);
        // What the PDS takes passes through to it.
        taken(&plyr, &artist, 70).await;
        let passed = 1;
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
        let grown_kb = peak_kb(&plyr) - began_kb;
        assert!(grown_kb < GROWTH_MAX_KB, "{grown_kb} kB more than at first");
        println!("370 MB passed, {grown_kb} kB more than at first");
        // Somebody who looks a few times a second may miss all of one, so there are several at once: the fastest machine takes a moment.
        let told = (71..71 + AT_ONCE).map(|sound_mb| taken(&plyr, &artist, sound_mb));
        let told = futures_util::future::join_all(told).await.concat();
        assert!(told.iter().any(|percent| (10.0..90.0).contains(percent)), "{told:?}");
    });
}

/// Sends a sound that the PDS takes, and answers with how far it was said to be.
async fn taken(plyr: &Plyr, artist: &Person, sound_mb: usize) -> Vec<f64> {
    let messages = follow(plyr, &send(artist, sound_mb, b"").await).await;
    let last = messages.last().expect("a message");
    assert_eq!((&last["status"], &last["pds_blob_failed"]), (&json!("completed"), &json!(false)), "{last}");
    let records = records(&artist.account).await;
    let sizes: Vec<&Value> = records.iter().map(|record| &record["value"]["audioBlob"]["size"]).collect();
    assert!(sizes.contains(&&json!(sound_mb * MB)), "{sizes:?}");
    let percents = messages.iter().map(|message| message["server_progress_pct"].as_f64().expect("a number"));
    let percents: Vec<f64> = percents.collect();
    assert!(percents.is_sorted() && percents.last() == Some(&100.0), "{percents:?}");
    percents
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
