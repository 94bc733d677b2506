//! Sound and pictures: served from our own checked copy, in any piece a player asks for.

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HOST, LOCATION, RANGE};
use reqwest::redirect::Policy;
use serde_json::Value;

use crate::world::{Account, Plyr, eventually, network, pds, run, same};

/// A small picture of one grey: a true PNG, so that its bytes say what it is.
pub fn png(grey: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut bytes, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    // zlib: one stored block of two bytes, the filter and the pixel.
    let raw = [0, grey];
    let mut data = vec![0x78, 0x01, 0x01, 2, 0, 0xfd, 0xff, raw[0], raw[1]];
    let (a, b) = raw.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    data.extend_from_slice(&((b << 16) | a).to_be_bytes());
    chunk(&mut bytes, b"IDAT", &data);
    chunk(&mut bytes, b"IEND", &[]);
    bytes
}

fn chunk(bytes: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    bytes.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let checked: Vec<u8> = kind.iter().chain(data).copied().collect();
    let crc = checked.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 },
        )
    });
    bytes.extend_from_slice(&checked);
    bytes.extend_from_slice(&(!crc).to_be_bytes());
}

#[test]
fn sound_is_served_in_ranges() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "artist").await;
        // A sound that nobody else has: it would be handed out as theirs.
        let sound = pds::wav(447, 3);
        let cover = png(99);
        let mut record = pds::track("in pieces", &artist.upload("audio/wav", sound.clone()).await);
        record["image"] = artist.upload("image/png", cover.clone()).await;
        let (uri, _) = artist.create_record("fm.plyr.track", record).await;
        let track = eventually("sound and cover", || async {
            let track = plyr.track(&uri).await.ok_or("no track")?;
            if track["audio"].is_string() && track["cover"].is_string() {
                Ok(track)
            } else {
                Err(track.to_string())
            }
        })
        .await;
        let (audio, http) = (track["audio"].as_str().expect("a URL").to_owned(), pds::http());
        assert!(audio.starts_with(&plyr.url), "{audio}");
        let whole = http.get(&audio).send().await.expect("an answer");
        assert_eq!(
            (whole.status().as_u16(), &whole.headers()["accept-ranges"]),
            (200, &"bytes".parse().expect("ascii"))
        );
        assert_eq!(whole.headers()["content-type"], "audio/wav");
        assert_eq!(whole.bytes().await.expect("bytes"), sound);
        let len = sound.len();
        for (range, wanted) in
            [("bytes=0-99", 0..100), ("bytes=1000-", 1000..len), ("bytes=-10", len - 10..len)]
        {
            let part = http.get(&audio).header("range", range).send().await.expect("an answer");
            assert_eq!(part.status(), 206, "{range}");
            let place = format!("bytes {}-{}/{len}", wanted.start, wanted.end - 1);
            assert_eq!(part.headers()["content-range"], place.as_str());
            assert_eq!(part.bytes().await.expect("bytes"), sound[wanted], "{range}");
        }
        let beyond =
            http.get(&audio).header("range", format!("bytes={len}-")).send().await.expect("an answer");
        assert_eq!(
            (beyond.status().as_u16(), &beyond.headers()["content-range"]),
            (416, &format!("bytes */{len}").parse().expect("ascii"))
        );
        let picture = http.get(track["cover"].as_str().expect("a URL")).send().await.expect("an answer");
        assert_eq!(picture.headers()["content-type"], "image/png");
        assert_eq!(picture.bytes().await.expect("bytes"), cover);
        // Nothing of somebody who is switched off is handed out.
        artist.deactivate().await;
        eventually("the sound to be gone", || async {
            crate::world::same(http.get(&audio).send().await.expect("an answer").status().as_u16(), 404)
        })
        .await;
    });
}

/// `/audio/{file_id}` is what the HTTP API calls a sound: the bytes, or where the operator says that they are.
#[test]
fn a_sound_is_where_the_operator_says() {
    run(async {
        let net = network();
        let mut plyr = Plyr::up(net).await;
        let artist = Account::create(net, "elsewhere").await;
        let sound = pds::wav(449, 2);
        let record = pds::track("here or there", &artist.upload("audio/wav", sound.clone()).await);
        let (uri, _) = artist.create_record("fm.plyr.track", record).await;
        eventually("the sound", || async {
            same(plyr.track(&uri).await.is_some_and(|track| track["audio"].is_string()), true)
        })
        .await;
        let id = plyr.track_id(&uri).await;
        let track: Value = plyr.get(&format!("/tracks/{id}")).await.json().await.expect("JSON");
        let path = format!("/audio/{}", track["file_id"].as_str().expect("a file id"));
        plyr.set("PLYR_MEDIA_URL", "https://media.example/here");
        let elsewhere = plyr.twin().await;
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
        for method in [Method::GET, Method::HEAD] {
            let ask = |plyr: &Plyr| http.request(method.clone(), format!("{}{path}", plyr.url));
            let to = ask(&elsewhere).header(RANGE, "bytes=0-9").send().await.expect("an answer");
            assert_eq!(to.status(), 307, "{method}");
            assert_eq!(to.headers()[LOCATION], format!("https://media.example/here{path}"), "{method}");
            // Where it comes in by that name, it has come where it should.
            let there = ask(&elsewhere).header(HOST, "media.example").send().await.expect("an answer");
            let here = ask(&plyr).send().await.expect("an answer");
            for answer in [there, here] {
                assert_eq!(answer.status(), 200, "{method}");
                assert_eq!(answer.headers()[CONTENT_LENGTH], sound.len().to_string(), "{method}");
                let wanted = if method == Method::HEAD { &[] } else { &sound[..] };
                assert_eq!(answer.bytes().await.expect("bytes"), wanted, "{method}");
            }
        }
        let part = plyr.http().get(format!("{}{path}", plyr.url)).header(RANGE, "bytes=10-19").send().await;
        let part = part.expect("an answer");
        assert_eq!(part.status(), 206);
        assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 10-19/{}", sound.len()));
        assert_eq!(part.bytes().await.expect("bytes"), sound[10..20]);
        let unknown = http.get(format!("{}/audio/0000000000000000", elsewhere.url)).send().await;
        assert_eq!(unknown.expect("an answer").status(), 404);
    });
}

#[test]
fn bytes_that_are_not_sound_are_kept_aside() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "artist").await;
        let page = b"<html><script>alert(1)</script></html>".to_vec();
        let (uri, _) = artist
            .create_record("fm.plyr.track", pds::track("a page", &artist.upload("audio/mpeg", page).await))
            .await;
        eventually("the problem", || async {
            let problems = plyr.db.texts("select detail from problem where kind = 'UnfitBlob'").await;
            if problems.iter().any(|problem| problem.contains("BlobWrongKind")) {
                Ok(())
            } else {
                Err(format!("{problems:?}"))
            }
        })
        .await;
        let track = plyr.track(&uri).await.expect("the track itself is shown");
        assert!(track["audio"].is_null(), "{track}");
    });
}
