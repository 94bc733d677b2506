use std::convert::Infallible;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use futures_util::stream;

use super::*;

const WAV: &[u8] = b"RIFF\0\0\0\0WAVEfmt ";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Name, whether it is a file, value.
type Field<'a> = (&'a str, bool, &'a [u8]);

/// A form of such fields, and how many staging files its reading left behind.
async fn submit(fields: &[Field<'_>]) -> (Result<Form, Detail>, usize) {
    let mut body = Vec::new();
    for (name, is_file, value) in fields {
        let file = if *is_file { "; filename=x" } else { "" };
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), value, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--b--\r\n");
    let pieces: Vec<Result<Bytes, Infallible>> =
        body.chunks(body.len() / 50 + 1).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let headers: HeaderMap =
        [(CONTENT_TYPE, "multipart/form-data; boundary=b".parse().expect("a header"))].into_iter().collect();
    let root = tempfile::tempdir().expect("a folder");
    let store = BlobStore::new(root.path());
    let form = Multipart::new(&headers, stream::iter(pieces), 64 << 20).expect("a form");
    let form = read(form, &store, Room { audio_max_mb: 1, free_min_mb: 0 }).await;
    let left = std::fs::read_dir(root.path().join("staging")).map_or(0, |entries| entries.count());
    (form, left)
}

#[tokio::test]
async fn fields_come_in_any_order() {
    let (form, left) = submit(&[
        ("image", true, PNG),
        ("tags", false, b"[\"Deep  House\", \"-dub-\"]"),
        ("file", true, WAV),
        ("self_labels", false, b"[]"),
        ("features", false, b"[\"bob.test\"]"),
        ("description", false, b""),
        ("album", false, b" Nights "),
        ("title", false, " Grüße ".as_bytes()),
    ])
    .await;
    let form = form.expect("lawful");
    assert_eq!(
        (form.title.as_str(), form.album.as_deref(), form.description),
        ("Grüße", Some("Nights"), None)
    );
    assert_eq!(
        (form.tags, form.features),
        (vec!["deep house".into(), "dub".into()], vec!["bob.test".to_owned()])
    );
    assert_eq!((form.audio.mime, form.image.map(|image| image.mime)), ("audio/wav", Some("image/png")));
    assert_eq!(left, 2);
}

#[tokio::test]
async fn tags_come_in_three_forms() {
    for values in [vec!["[\"a\",\"b c\"]"], vec!["a", "b c"], vec!["a, b c,"], vec!["[\"a\"]", "b c"]] {
        let mut fields: Vec<Field> = vec![("title", false, b"t"), ("file", true, WAV)];
        fields.extend(values.iter().map(|value| ("tags", false, value.as_bytes())));
        assert_eq!(submit(&fields).await.0.expect("lawful").tags, ["a", "b c"], "{values:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_and_leaves_nothing() {
    let long = "x".repeat(257);
    let description = "x".repeat(5001);
    let many = (0..11).map(|number| format!("t{number}")).collect::<Vec<_>>().join(",");
    let large = [WAV, &vec![0; 1 << 20]].concat();
    let title: Field = ("title", false, b"t");
    let sound: Field = ("file", true, WAV);
    let cases: Vec<(u16, Vec<Field>)> = vec![
        (422, vec![sound]),
        (422, vec![("title", false, b"  "), sound]),
        (422, vec![("title", false, long.as_bytes()), sound]),
        (422, vec![("title", false, b"a\0b"), sound]),
        (422, vec![title, sound, ("album", false, long.as_bytes())]),
        (422, vec![title, sound, ("description", false, description.as_bytes())]),
        (422, vec![title]),
        (422, vec![title, ("file", true, b"")]),
        (422, vec![title, ("file", false, b"text")]),
        (400, vec![title, ("file", true, b"<html>")]),
        (400, vec![title, ("file", true, b"fLaC\0\0\0\x22")]),
        (400, vec![title, ("file", true, PNG)]),
        (400, vec![title, sound, ("image", true, WAV)]),
        (400, vec![title, sound, sound]),
        (400, vec![title, sound, ("tags", false, b"[1]")]),
        (400, vec![title, sound, ("tags", false, many.as_bytes())]),
        (400, vec![title, sound, ("tags", false, &[b'y'; 51])]),
        (400, vec![title, sound, ("visibility", false, b"private")]),
        (413, vec![title, ("file", true, &large)]),
    ];
    for (status, fields) in cases {
        let names: Vec<&str> = fields.iter().map(|field| field.0).collect();
        let (form, left) = submit(&fields).await;
        let refused = form.expect_err("refused");
        assert_eq!((refused.status().as_u16(), left), (status, 0), "{names:?}: {refused:?}");
    }
    let (form, left) = submit(&[title, sound, ("image", true, b"")]).await;
    assert!(form.expect("an empty picture is none").image.is_none());
    assert_eq!(left, 1);
}
