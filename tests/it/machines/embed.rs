//! What of ours stands on other pages.

use serde_json::json;

use super::{Scene, TITLE};
use crate::browser::Script;
use crate::world::{network, run};

#[test]
fn oembed_describes_pages_of_ours_and_no_others() {
    run(async {
        let scene = Scene::set(network(), "oembed").await;
        let (plyr, artist) = (&scene.plyr, &scene.artist);
        let ours = |path: &str| format!("{}{path}", plyr.public_url);
        let id = plyr.track_id(&scene.tracks[0].0).await;
        let [track, album, playlist, page, tag] = scene.pages().map(|(_, path)| ours(&path));
        let described = async |url: &str| {
            let (status, answer) = scene.oembed(&[("url", url)]).await;
            assert_eq!(status, 200, "{url}: {answer}");
            answer
        };
        let answer = described(&track).await;
        assert_eq!(answer, described(&ours(&format!("/track/{id}"))).await);
        assert_eq!(answer, described(&track.replace(&artist.did, &artist.handle)).await);
        // A player for other pages is described like the page, and what is neither is nothing.
        assert_eq!(answer, described(&ours(&format!("/embed/track/{id}"))).await);
        let framed = album.replace("/u/", "/embed/album/").replacen("/album/first", "/first", 1);
        assert_eq!(described(&album).await, described(&framed).await, "{framed}");
        for neither in [
            album.replace("/u/", "/album/").replacen("/album/first", "/first", 1),
            album.replace("/u/", "/embed/u/"),
        ] {
            assert_eq!(scene.oembed(&[("url", &neither)]).await.0, 404, "{neither}");
        }
        let expected = json!({
            "version": "1.0", "type": "rich", "title": format!("{TITLE} - the testers"), "width": 400, "height": 165,
            "author_name": artist.handle, "author_url": page, "provider_url": plyr.public_url, "thumbnail_width": 300,
        });
        for (field, wanted) in expected.as_object().expect("an object") {
            assert_eq!(&answer[field], wanted, "{field}");
        }
        let html = answer["html"].as_str().expect("HTML");
        assert!(html.contains(&format!("src=\"{}\"", ours(&format!("/embed/track/{id}")))), "{html}");
        assert_eq!(html.matches('<').count(), 2, "nothing but the frame: {html}");
        assert_eq!(described(&album).await["title"], format!("\"First <i>Light\" by {}", artist.handle));
        let list = described(&playlist).await;
        assert_eq!(
            (&list["height"], &list["title"]),
            (&json!(380), &json!(format!("\"to <b>sleep\" by {}", artist.handle)))
        );
        assert_eq!(described(&page).await["title"], artist.handle);

        let sized = [("url", track.as_str()), ("maxwidth", "2000"), ("maxheight", "100")];
        let (_, answer) = scene.oembed(&sized).await;
        assert_eq!((&answer["width"], &answer["height"]), (&json!(800), &json!(100)));
        let (_, answer) = scene.oembed(&[("url", &album), ("maxwidth", "100"), ("maxheight", "9999")]).await;
        assert_eq!((&answer["width"], &answer["height"]), (&json!(100), &json!(600)));

        let foreign = track.replace("http://127.0.0.1", "http://evil.example");
        for (query, status, detail) in [
            (vec![("url", foreign.as_str())], 404, json!("invalid track URL")),
            (vec![("url", "nonsense")], 404, json!("invalid track URL")),
            (vec![("url", tag.as_str())], 404, json!("invalid track URL")),
            (vec![("url", &ours("/track/999999"))], 404, json!("track not found")),
            (vec![("url", &ours("/playlist/x"))], 404, json!("playlist not found")),
            (vec![("url", &ours("/u/nobody.test"))], 404, json!("artist not found")),
            (vec![("url", &ours("/u/nobody.test/album/x"))], 404, json!("album not found")),
            (vec![("url", &track), ("format", "xml")], 501, json!("only json format is supported")),
        ] {
            let (found, answer) = scene.oembed(&query).await;
            assert_eq!((found, &answer["detail"]), (status, &detail), "{query:?}");
        }
        for bad in [("maxwidth", "wide"), ("maxwidth", "-1"), ("maxheight", "0"), ("maxheight", "1e3")] {
            let (status, answer) = scene.oembed(&[("url", &track), bad]).await;
            assert_eq!((status, &answer["detail"][0]["loc"][1]), (422, &json!(bad.0)), "{bad:?}");
        }
        assert_eq!(scene.oembed(&[]).await.0, 422);
    });
}

#[test]
fn players_stand_on_pages_of_other_sites() {
    run(async {
        let scene = Scene::set(network(), "embeds").await;
        let plyr = &scene.plyr;
        let titles = json!([TITLE, "second light", "third light"]);
        for (kind, path) in scene.pages().into_iter().filter(|(kind, _)| *kind != "tag") {
            let (_, described) = scene.oembed(&[("url", &format!("{}{path}", plyr.public_url))]).await;
            let html = described["html"].as_str().expect("HTML");
            let screenshots = std::env::var("PLYR_SCREENSHOT").ok().map(|path| format!("{path}-{kind}"));
            let arguments: Vec<&str> = [html].into_iter().chain(screenshots.as_deref()).collect();
            let mut browser = Script::start("embed.mjs", &arguments);
            let saw = browser.hear().await;
            assert!(browser.ends_well().await, "{saw}");
            assert_eq!(saw["errors"], json!([]), "{kind}: {saw}");
            for what in ["played", "fits"] {
                assert_eq!(saw[what], true, "{what} of {kind}: {saw}");
            }
            assert_eq!(saw["preload"], "none", "{saw}");
            let page = format!("{}{path}", plyr.public_url);
            let links = saw["links"].as_array().expect("links");
            assert!(links.iter().all(|link| link[1] == "_blank" && link[2] == "noopener"), "{saw}");
            assert!(links.iter().any(|link| link[0] == page.as_str()), "{page}: {saw}");
            match kind {
                "track" => {
                    assert_eq!((&saw["title"], &saw["rows"]), (&json!([TITLE]), &json!([])), "{saw}");
                    assert_eq!(saw["picture"], true, "{saw}");
                }
                // The newest first; those of one moment in no order that matters here.
                "artist" => assert_eq!(saw["rows"].as_array().map(Vec::len), Some(3), "{saw}"),
                _ => {
                    assert_eq!(saw["rows"], titles, "{saw}");
                    assert_eq!(saw["now"], json!([[TITLE], ["second light"], ["third light"]]), "{saw}");
                }
            }
        }
        // Without a script, a row is a link.
        let embed = format!("/embed/album/{}/first-ilight", scene.artist.handle);
        let answer = plyr.get(&format!("{embed}?n=3")).await;
        assert_eq!(answer.status(), 200, "{embed}");
        let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors *"), "{policy}");
        assert!(!policy.contains("unsafe-inline"), "{policy}");
        let page = answer.text().await.expect("text");
        assert!(page.contains("<p class=\"now\" aria-live=\"polite\">third light</p>"), "{page}");
        for path in ["/embed/track/999999", "/embed/track/x", "/embed/u/nobody.test", "/embed/playlist/x/y"] {
            let answer = plyr.get(path).await;
            assert_eq!(answer.status(), 404, "{path}");
            assert!(answer.text().await.expect("text").contains("nothing here"), "{path}");
        }
    });
}
