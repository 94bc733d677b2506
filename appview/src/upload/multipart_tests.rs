use std::convert::Infallible;

use futures_util::stream;
use proptest::prelude::*;

use super::*;

type Fields = Vec<(String, bool, Vec<u8>)>;

fn headers(boundary: &str) -> HeaderMap {
    let value = format!("multipart/form-data; boundary={boundary}");
    [(CONTENT_TYPE, value.parse().expect("a header"))].into_iter().collect()
}

fn read(boundary: &str, body: &[u8], piece: usize, max_bytes: u64) -> Result<Fields, FormError> {
    let pieces: Vec<Result<Bytes, Infallible>> =
        body.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let mut form = Multipart::new(&headers(boundary), stream::iter(pieces), max_bytes)?;
        let mut fields = Vec::new();
        while let Some(part) = form.next().await? {
            let mut value = Vec::new();
            while let Some(chunk) = form.chunk().await? {
                value.extend_from_slice(&chunk);
            }
            fields.push((part.name, part.is_file, value));
        }
        Ok(fields)
    })
}

fn write(boundary: &str, fields: &Fields) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, is_file, value) in fields {
        let file = if *is_file { "; filename=\"a; name=b.mp3\"\r\nContent-Type: audio/mpeg" } else { "" };
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

proptest! {
    #[test]
    fn fields_come_out_as_they_went_in(
        fields in proptest::collection::vec(
            ("[a-z]{1,8}", any::<bool>(), "([a-c]|\r\n|--|\r\n--x|\r|-){0,40}"), 0..4),
        piece in 1usize..60,
    ) {
        // The boundary begins as much of the content does.
        let fields: Fields =
            fields.into_iter().map(|(name, is_file, value)| (name, is_file, value.into_bytes())).collect();
        let body = write("x-9", &fields);
        prop_assert_eq!(read("x-9", &body, piece, 1 << 20), Ok(fields));
    }

    #[test]
    fn no_bytes_bring_it_down(body in proptest::collection::vec(any::<u8>(), 0..300), piece in 1usize..50) {
        let _ = read("x", &body, piece, 1 << 20);
        let mut begun = b"--x\r\n".to_vec();
        begun.extend(body);
        let _ = read("x", &begun, piece, 1 << 20);
    }

    #[test]
    fn a_cut_form_is_no_form(cut in 1usize..100, piece in 1usize..50) {
        let fields = vec![("title".to_owned(), false, b"a song".to_vec())];
        let body = write("x", &fields);
        let cut = body.len().saturating_sub(4 + cut);
        prop_assert!(read("x", &body[..cut], piece, 1 << 20).is_err());
    }
}

#[test]
fn limits_hold() {
    let fields = vec![("file".to_owned(), true, vec![b'a'; 1000])];
    let body = write("x", &fields);
    assert_eq!(read("x", &body, 100, 900), Err(FormError::TooLarge));
    let endless = [b"--x\r\nContent-Disposition: form-data; name=\"".to_vec(), vec![b'a'; 100_000]].concat();
    assert!(matches!(read("x", &endless, 1000, 1 << 20), Err(FormError::Malformed(_))));
}

#[test]
fn headers_have_a_limit_however_they_come() {
    let fields = vec![("title".to_owned(), false, b"a song".to_vec())];
    let body = String::from_utf8(write("x", &fields)).expect("text");
    let padded =
        |length: usize| body.replacen("\r\n\r\n", &format!("\r\nX-Pad: {}\r\n\r\n", "p".repeat(length)), 1);
    // All the rest is lawful, to the very end.
    for piece in [1, 7, 1000, 1 << 20] {
        assert_eq!(read("x", padded(8000).as_bytes(), piece, 1 << 20), Ok(fields.clone()), "{piece}");
        let refused = read("x", padded(8193).as_bytes(), piece, 1 << 20);
        assert_eq!(refused, Err(FormError::Malformed("a field's headers are too long")), "{piece}");
    }
}

#[test]
fn a_delimiter_may_be_padded() {
    // RFC 2046, 5.1.1: transport-padding.
    let fields = vec![("a".to_owned(), false, b"1".to_vec()), ("b".to_owned(), true, b"--x".to_vec())];
    let body = String::from_utf8(write("x", &fields)).expect("text");
    for padding in [" ", "\t", " \t  "] {
        let padded = body.replace("--x\r\nContent", &format!("--x{padding}\r\nContent"));
        let padded = padded.replace("--x--\r\n", &format!("--x--{padding}\r\n"));
        assert_ne!(padded, body);
        for piece in [1, 5, 1000] {
            assert_eq!(
                read("x", padded.as_bytes(), piece, 1 << 20),
                Ok(fields.clone()),
                "{padding:?} {piece}"
            );
        }
    }
}

#[tokio::test]
async fn a_trickle_does_not_hold_its_place() {
    let body = write("x", &vec![("file".to_owned(), true, vec![b'a'; 400])]);
    let in_time = |pause: Duration, pace: Pace| {
        let pieces: Vec<Bytes> = body.chunks(20).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces).then(move |piece| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, Infallible>(piece)
        });
        let mut form = Multipart::new(&headers("x"), Box::pin(pieces), 1 << 20).expect("a form");
        form.pace = pace;
        async move {
            while form.next().await?.is_some() {}
            Ok::<_, FormError>(())
        }
    };
    let pace = Pace { free: Duration::from_millis(40), min_bytes_per_s: 100_000 };
    let slow = in_time(Duration::from_millis(10), pace).await.expect_err("2 kB a second");
    assert!(slow.to_string().contains("too slow"), "{slow}");
    in_time(Duration::ZERO, pace).await.expect("fast");
    in_time(Duration::from_millis(10), PACE).await.expect("short");
}

#[test]
fn headers_are_read_in_all_their_forms() {
    assert_eq!(boundary_of("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
    assert_eq!(boundary_of("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"").as_deref(), Some("a b"));
    for bad in [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "text/plain; boundary=a",
    ] {
        assert_eq!(boundary_of(bad), None, "{bad}");
    }
    let part = |text: &str| part_of(text).map(|part| (part.name, part.is_file));
    assert_eq!(part("form-data; name=title"), Some(("title".into(), false)));
    assert_eq!(
        part("form-data; filename=\"x; name=\\\"no\\\"\"; name=\"file\""),
        Some(("file".into(), true))
    );
    assert_eq!(part("form-data; name=\"file\"; filename*=utf-8''x"), Some(("file".into(), true)));
    assert_eq!(part("form-data; filename=x"), None);
    assert_eq!(part("attachment; name=x"), None);
}
