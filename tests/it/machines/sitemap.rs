//! What search engines find.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Scene;
use crate::world::network::Network;
use crate::world::{Plyr, run};

/// All that stands in an element of a kind.
fn texts(xml: &str, element: &str) -> Vec<String> {
    let (begins, ends) = (format!("<{element}>"), format!("</{element}>"));
    let found = xml.split(&begins).skip(1).map(|rest| rest.split(&ends).next().expect("an end").to_owned());
    found.collect()
}

#[test]
fn the_sitemap_names_everything_once() {
    run(async {
        // One of its own, as all that there is stands in it.
        let net = Network::start(&[]);
        let scene = Scene::set(&net, "mapped").await;
        let (plyr, artist) = (&scene.plyr, &scene.artist);
        // Numbers far apart, so that there are several pages, and some that hold nothing.
        for (far, title) in [(19_999, "last of a page"), (20_000, "first of a page"), (51_000, "far")] {
            let moved = "select setval(pg_get_serial_sequence('public_id', 'id'), $1)";
            sqlx::query(moved).bind(far as i64).execute(&plyr.db.pool).await.expect("a sequence");
            let track = artist.create_track(title).await;
            plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        }
        let robots = plyr.get("/robots.txt").await.text().await.expect("text");
        let address = format!("{}/sitemap.xml", plyr.public_url);
        assert!(robots.contains(&format!("Sitemap: {address}")), "{robots}");
        let index = plyr.get("/sitemap.xml").await;
        assert_eq!(index.headers()["content-type"], "application/xml; charset=utf-8");
        let pages = texts(&index.text().await.expect("text"), "loc");
        let of = |kind: &str| pages.iter().filter(|page| page.contains(&format!("/sitemap/{kind}/"))).count();
        assert_eq!([of("tracks"), of("artists"), of("albums"), of("playlists")], [4, 1, 1, 1], "{pages:?}");
        let (mut found, mut days) = (Vec::new(), BTreeSet::new());
        for page in &pages {
            let answer = plyr.http().get(page).send().await.expect("plyr answers");
            assert_eq!(answer.status(), 200, "{page}");
            let xml = answer.text().await.expect("text");
            found.extend(texts(&xml, "loc"));
            days.extend(texts(&xml, "lastmod"));
        }
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!(distinct.len(), found.len(), "each once: {found:?}");
        let uris = plyr.db.texts("select uri from track").await;
        assert_eq!(uris.len(), 6);
        let path = |uri: &String| uri.replace("at://", "/track/").replace("/fm.plyr.track/", "/");
        let mut wanted: BTreeSet<String> = uris.iter().map(path).collect();
        // A tag has no place in it.
        wanted.extend(scene.pages().into_iter().filter(|(kind, _)| *kind != "tag").map(|(_, path)| path));
        let wanted: BTreeSet<String> =
            wanted.iter().map(|path| format!("{}{path}", plyr.public_url)).collect();
        assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), wanted);
        for url in &found {
            assert_eq!(plyr.http().get(url).send().await.expect("plyr answers").status(), 200, "{url}");
        }
        assert!(days.iter().all(|day| day.parse::<chrono::NaiveDate>().is_ok()), "{days:?}");

        let data: Value = plyr.get("/sitemap-data").await.json().await.expect("JSON");
        let count = |kind: &str| data[kind].as_array().map(Vec::len);
        assert_eq!(
            [count("tracks"), count("artists"), count("albums")],
            [Some(6), Some(1), Some(1)],
            "{data}"
        );
        assert_eq!(data["tracks"][0]["id"], plyr.track_id(newest(plyr).await.as_str()).await);
        assert_eq!(data["albums"][0]["slug"], "first-ilight");
        assert_eq!(data["artists"][0]["handle"], artist.handle.as_str());
        for path in
            ["/sitemap/tracks/0.xml", "/sitemap/tracks/x.xml", "/sitemap/nothing/1.xml", "/sitemap/tracks/1"]
        {
            assert_eq!(plyr.get(path).await.status(), 404, "{path}");
        }
    });
}

async fn newest(plyr: &Plyr) -> String {
    plyr.db.texts("select uri from track order by sort_at desc, uri desc limit 1").await.pop().expect("one")
}
