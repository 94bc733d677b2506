//! Pages as machines read them: link previews, players on other pages, search engines.

mod activity;
mod embed;
mod sitemap;

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::upload::sound;
use crate::world::network::Network;
use crate::world::{Account, Plyr, eventually, network, pds, run, same};

/// What must not become markup, wherever it stands.
const TITLE: &str = r#"</title></script><b onload="x">"it's" & more"#;

/// An artist with three tracks, a picture, an album and a playlist.
struct Scene {
    plyr: Plyr,
    artist: Account,
    tracks: Vec<(String, String)>,
    playlist: String,
}

fn list(name: &str, kind: &str, items: &[(String, String)]) -> Value {
    let items: Vec<Value> =
        items.iter().map(|(uri, cid)| json!({"subject": {"uri": uri, "cid": cid}})).collect();
    json!({"listType": kind, "name": name, "items": items, "createdAt": "2021-01-02T03:04:05Z"})
}

impl Scene {
    async fn set(net: &Network, name: &str) -> Scene {
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, name).await;
        let cover = artist.upload("image/png", sound::picture("300x300", "png")).await;
        let mut tracks = Vec::new();
        for (title, pitch) in [(TITLE, 440), ("second light", 550), ("third light", 660)] {
            let mut record = pds::track(title, &artist.upload("audio/wav", pds::wav(pitch, 2)).await);
            (record["image"], record["tags"]) = (cover.clone(), json!([format!("{name} tag")]));
            (record["duration"], record["createdAt"]) = (json!(3723), json!("2020-01-02T03:04:05Z"));
            tracks.push(artist.create_record("fm.plyr.track", record).await);
        }
        artist.create_record("fm.plyr.list", list("First <i>Light", "album", &tracks)).await;
        let playlist = artist.create_record("fm.plyr.list", list("to <b>sleep", "playlist", &tracks)).await.0;
        eventually("all of it, with sound and pictures", || async {
            let uris: Vec<(&str, &str)> = tracks.iter().map(|(uri, _)| ("uris", uri.as_str())).collect();
            let found = plyr.query("fm.plyr.feed.getTracks", &uris).await;
            let whole = |track: &&Value| track["audio"].is_string() && track["cover"].is_string();
            let whole = found["tracks"].as_array().expect("a list").iter().filter(whole).count();
            let listed = plyr.xrpc("fm.plyr.list.getList", &[("uri", &playlist)]).await.0;
            // Pages are called by it.
            let handle = found["tracks"][0]["author"]["handle"].as_str().unwrap_or_default().to_owned();
            same((whole, listed, handle), (3, 200, artist.handle.clone()))
        })
        .await;
        Scene { plyr, artist, tracks, playlist }
    }

    /// The paths of the pages, each in its canonical form, by kind.
    fn pages(&self) -> [(&'static str, String); 5] {
        let (artist, did) = (&self.artist.handle, &self.artist.did);
        let rkey = |uri: &str| uri.rsplit('/').next().expect("a key").to_owned();
        let tag = artist.split(|c: char| c.is_ascii_digit()).next().expect("a name").to_owned();
        [
            ("track", format!("/track/{did}/{}", rkey(&self.tracks[0].0))),
            ("album", format!("/u/{artist}/album/first-ilight")),
            ("playlist", format!("/playlist/{did}/{}", rkey(&self.playlist))),
            ("artist", format!("/u/{artist}")),
            ("tag", format!("/tag/{tag}%20tag")),
        ]
    }

    async fn oembed(&self, query: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/oembed", self.plyr.url);
        let answer = self.plyr.http().get(url).query(query).send().await.expect("plyr answers");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The attributes of all elements of a kind in a head, which our pages quote.
fn elements(head: &str, name: &str) -> Vec<HashMap<String, String>> {
    let begins = format!("<{name} ");
    let elements = head.split(&begins).skip(1).map(|rest| rest.split('>').next().expect("an end"));
    let attributes = |text: &str| {
        let parts: Vec<&str> = text.split('"').collect();
        let pairs = parts.chunks_exact(2);
        pairs
            .map(|pair| (pair[0].trim().trim_end_matches('=').to_owned(), unescaped(pair[1])))
            .collect::<HashMap<String, String>>()
    };
    elements.map(attributes).collect()
}

/// What the head of a page says: its title, its meta elements, its links, its JSON-LD.
struct Head {
    title: String,
    metas: Vec<(String, String)>,
    links: HashMap<String, String>,
    ld: Value,
}

impl Head {
    fn read(page: &str) -> Head {
        let head = page.split("</head>").next().expect("a head");
        let between = |from: &str, to: &str| head.split(from).nth(1).and_then(|rest| rest.split(to).next());
        let metas = elements(head, "meta").into_iter().filter_map(|mut meta| {
            let key = meta.remove("property").or(meta.remove("name"))?;
            Some((key, meta.remove("content")?))
        });
        let links = elements(head, "link")
            .into_iter()
            .filter_map(|mut link| Some((link.remove("type").or(link.remove("rel"))?, link.remove("href")?)));
        let ld = between("<script type=\"application/ld+json\">", "</script>").expect("JSON-LD");
        Head {
            title: unescaped(between("<title>", "</title>").expect("a title")),
            metas: metas.collect(),
            links: links.collect(),
            ld: serde_json::from_str(ld).expect("JSON"),
        }
    }

    fn all(&self, key: &str) -> Vec<&str> {
        self.metas.iter().filter(|(name, _)| name == key).map(|(_, content)| content.as_str()).collect()
    }
}

#[test]
fn the_head_of_each_page_says_what_it_shows() {
    run(async {
        let scene = Scene::set(network(), "heads").await;
        let (plyr, artist) = (&scene.plyr, &scene.artist);
        let first = plyr.track(&scene.tracks[0].0).await.expect("it is shown");
        let (cover, sound) = (first["cover"].as_str(), first["audio"].as_str());
        let mut heads = HashMap::new();
        for (kind, path) in scene.pages() {
            let answer = plyr.get(&path).await;
            assert_eq!(answer.status(), 200, "{path}");
            let head = Head::read(&answer.text().await.expect("text"));
            let url = format!("{}{path}", plyr.public_url);
            assert_eq!((head.links.get("canonical"), head.all("og:url")), (Some(&url), vec![url.as_str()]));
            assert_eq!((head.all("og:site_name"), head.all("twitter:card")), (vec!["plyr"], vec!["summary"]));
            assert_eq!(head.all("description").len(), 1, "{path}");
            assert_eq!(head.all("og:title"), head.all("twitter:title"), "{path}");
            let ld = &head.ld;
            assert_eq!((&ld["@context"], &ld["url"]), (&json!("https://schema.org"), &json!(url)), "{path}");
            if kind != "artist" {
                assert_eq!((head.all("og:image").first().copied(), ld["image"].as_str()), (cover, cover));
            }
            // It is described where its head says.
            let described = head.links.get("application/json+oembed");
            assert_eq!(described.is_some(), kind != "tag", "{path}");
            if let Some(described) = described {
                let answer = plyr.http().get(described).send().await.expect("plyr answers");
                assert_eq!(answer.status(), 200, "{described}");
                assert_eq!(answer.headers()["access-control-allow-origin"], "*");
            }
            heads.insert(kind, head);
        }
        let types: Vec<(&str, &str)> = ["track", "album", "playlist", "artist", "tag"]
            .map(|kind| (heads[kind].all("og:type")[0], heads[kind].ld["@type"].as_str().expect("a type")))
            .to_vec();
        assert_eq!(
            types,
            [
                ("music.song", "MusicRecording"),
                ("music.album", "MusicAlbum"),
                ("music.playlist", "MusicPlaylist"),
                ("profile", "MusicGroup"),
                ("website", "CollectionPage"),
            ]
        );
        let track = &heads["track"];
        assert_eq!(
            (track.title.as_str(), track.all("og:title")),
            (&*format!("{TITLE} · the testers"), vec![TITLE])
        );
        assert_eq!(
            (track.all("og:audio").first().copied(), track.all("music:duration")),
            (sound, vec!["3723"])
        );
        assert_eq!((&track.ld["name"], &track.ld["duration"]), (&json!(TITLE), &json!("PT1H2M3S")));
        assert_eq!(track.ld["audio"]["contentUrl"].as_str(), sound);
        assert_eq!(track.ld["datePublished"], "2020-01-02T03:04:05Z");
        for kind in ["album", "playlist"] {
            let head = &heads[kind];
            assert_eq!((head.all("music:song").len(), &head.ld["numTracks"]), (3, &json!(3)), "{kind}");
            assert_eq!(head.ld["track"][1]["name"], "second light", "{kind}");
        }
        assert_eq!(heads["album"].all("og:title"), ["First <i>Light"]);
        assert_eq!(heads["artist"].all("profile:username"), [artist.handle.as_str()]);

        // Other names of the same lead there, and of nothing there is no page.
        let id = plyr.track_id(&scene.tracks[0].0).await;
        let playlists = plyr.get(&format!("/lists/playlists/by-artist/{}", artist.did)).await;
        let playlists: Value = playlists.json().await.expect("JSON");
        let [track, _, playlist, ..] = scene.pages().map(|(_, path)| path);
        for (path, leads) in [
            (format!("/track/{id}"), &track),
            (track.replace(&artist.did, &artist.handle), &track),
            (format!("/playlist/{}", playlists[0]["id"].as_str().expect("an id")), &playlist),
            (playlist.replace(&artist.did, &artist.handle), &playlist),
        ] {
            assert_eq!(plyr.get(&path).await.url().path(), leads, "{path}");
        }
        for path in [
            "/track/999999",
            "/track/did:plc:nobody/x",
            "/playlist/00000000-0000-0000-0000-000000000000",
            &playlist.replace("/playlist/", "/playlist/did:plc:nobody/"),
            &format!("/playlist/{}/x", artist.did),
            "/u/nobody.test",
            "/u/nobody",
            "/u/%00",
            &format!("/u/{}/album/nothing", artist.handle),
            "/tag/nothing-has-it",
            "/tag/%00",
        ] {
            assert_eq!(plyr.get(path).await.status(), 404, "{path}");
        }
        artist.deactivate().await;
        for (_, path) in scene.pages() {
            eventually(&path, || async { same(plyr.get(&path).await.status().as_u16(), 404) }).await;
        }
    });
}
