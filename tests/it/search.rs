//! Search, from outside: whatever is typed of a name finds it.

use serde_json::{Value, json};

use crate::world::pds::{self, now};
use crate::world::{Account, Plyr, eventually, network, run, same};

/// Two hundred songs of the world.
const TITLES: &str = include_str!("search/titles.txt");

/// The titles found of this artist's, in order: others are on the network, too.
async fn titles(plyr: &Plyr, artist: &Account, q: &str) -> Vec<String> {
    let found = plyr.query("fm.plyr.search.searchTracks", &[("q", q), ("limit", "100")]).await;
    let tracks = found["tracks"].as_array().expect("a list").iter();
    let tracks = tracks.filter(|track| track["author"]["did"] == artist.did.as_str());
    tracks.map(|track| track["record"]["title"].as_str().expect("a title").to_owned()).collect()
}

async fn publish(artist: &Account, blob: &Value, titles: &[&str]) {
    let writes = titles.iter().map(|title| {
        json!({"$type": "com.atproto.repo.applyWrites#create", "collection": "fm.plyr.track",
               "value": pds::track(title, blob)})
    });
    for some in writes.collect::<Vec<_>>().chunks(100) {
        artist.apply_writes(some.to_vec()).await;
    }
}

async fn await_findable(plyr: &Plyr, artist: &Account, tracks: usize) {
    let wanted = || async {
        let found = plyr.db.texts("select did from search_entry where kind = 1").await;
        same(found.iter().filter(|did| **did == artist.did).count(), tracks)
    };
    eventually("everything can be found", wanted).await;
}

/// A generator of its own, so that each run types the same slips.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// One character too many, too few, another, or two exchanged, anywhere.
fn with_slip(title: &str, dice: &mut Dice) -> String {
    let mut typed: Vec<char> = title.to_lowercase().chars().collect();
    let at = dice.roll(typed.len());
    let letters: Vec<char> = title.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let other = letters[dice.roll(letters.len())];
    match dice.roll(4) {
        0 => drop(typed.remove(at)),
        1 => typed.insert(at, other),
        2 => typed[at] = other,
        _ if at + 1 < typed.len() => typed.swap(at, at + 1),
        _ => drop(typed.pop()),
    }
    typed.into_iter().collect()
}

#[test]
fn a_slip_in_any_of_two_hundred_titles_finds_it_among_the_first_three() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "slips").await;
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        let all: Vec<&str> = TITLES.lines().collect();
        publish(&artist, &blob, &all).await;
        await_findable(&plyr, &artist, 200).await;
        let (mut dice, mut missed) = (Dice(2026), Vec::new());
        for title in &all {
            assert_eq!(
                titles(&plyr, &artist, title).await.first().map(String::as_str),
                Some(*title),
                "as it is written"
            );
            for _ in 0..3 {
                let typed = with_slip(title, &mut dice);
                if typed.trim().is_empty() {
                    continue;
                }
                let found = titles(&plyr, &artist, &typed).await;
                if !found.iter().take(3).any(|found| found == title) {
                    missed.push(format!(
                        "{title}: {typed:?} finds {:?}",
                        found.iter().take(3).collect::<Vec<_>>()
                    ));
                }
            }
        }
        assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
    });
}

#[test]
fn names_come_before_beginnings_before_words_before_likenesses() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "ranker").await;
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        let all = [
            "Rain",
            "Rain Dance",
            "Purple Rain",
            "Raincoat",
            "Reign",
            "Terrain",
            "Brain",
            "100% Pure",
            "100 Miles",
            "under_score",
            "Underscore",
            "夜に駆ける",
            "Jóga",
            "Straße",
            "Don't Stop",
            "AC/DC Live",
            "Midnight City",
            "!!!",
            "Zephyrgold Marrow Tundra",
            "Zephyrbold",
        ];
        publish(&artist, &blob, &all).await;
        await_findable(&plyr, &artist, all.len()).await;
        let first = async |q: &str, count: usize| {
            let found = titles(&plyr, &artist, q).await;
            assert_eq!(found, titles(&plyr, &artist, q).await, "the same again");
            found.into_iter().take(count).collect::<Vec<_>>()
        };
        let rain = first("rain", 10).await;
        assert_eq!(rain[0], "Rain");
        assert_eq!(rain[1..3].iter().collect::<std::collections::BTreeSet<_>>().len(), 2);
        assert!(
            rain[1..3].contains(&"Rain Dance".to_owned()) && rain[1..3].contains(&"Raincoat".to_owned()),
            "{rain:?}"
        );
        assert_eq!(rain[3], "Purple Rain");
        assert!(rain.contains(&"Terrain".to_owned()) && rain.contains(&"Brain".to_owned()), "{rain:?}");
        for (q, title) in [
            ("駆", "夜に駆ける"),
            ("joga", "Jóga"),
            ("JÓGA", "Jóga"),
            ("strasse", "Straße"),
            ("dont stop", "Don't Stop"),
            ("acdc", "AC/DC Live"),
            ("city midnight", "Midnight City"),
            ("midnightcity", "Midnight City"),
            // A word that is known, but is not the one that was meant.
            ("zephyrbold tundra", "Zephyrgold Marrow Tundra"),
            ("mid night city", "Midnight City"),
            ("m", "Midnight City"),
            ("mi", "Midnight City"),
            ("!!!", "!!!"),
            ("ranker ac dc", "AC/DC Live"),
        ] {
            assert_eq!(first(q, 1).await, [title], "{q}");
        }
        // Signs mean themselves: they are no patterns.
        assert_eq!(first("%", 10).await, ["100% Pure"]);
        assert_eq!(first("_", 10).await, ["under_score"]);
        assert_eq!(first("\\", 10).await, [""; 0]);
        // What is hidden, renamed and deleted.
        artist.deactivate().await;
        eventually("nothing to be found of who is away", || async {
            same(titles(&plyr, &artist, "rain").await, Vec::<String>::new())
        })
        .await;
        artist.activate().await;
        eventually("everything to be found again", || async {
            same(titles(&plyr, &artist, "rain").await.len(), rain.len())
        })
        .await;
        let records = artist.list_records("fm.plyr.track").await;
        for (uri, _) in &records {
            if artist.record(uri).await["title"] == "Purple Rain" {
                let rkey = uri.rsplit('/').next().expect("a key");
                artist.put_record("fm.plyr.track", rkey, pds::track("Violet Snow", &blob)).await;
            }
        }
        eventually("the new name", || async {
            same(titles(&plyr, &artist, "violet").await, vec!["Violet Snow".to_owned()])
        })
        .await;
        assert!(!titles(&plyr, &artist, "rain").await.contains(&"Purple Rain".to_owned()));
    });
}

/// Where more has the words than can be looked at, that is looked at which is liked most; and the same however rows are moved about.
#[test]
fn of_very_much_that_has_the_words_the_best_is_found() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "prolific").await;
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        let all: Vec<String> = (0..700).map(|number| format!("Quagmire {number:03} Wintergreen")).collect();
        publish(&artist, &blob, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
        await_findable(&plyr, &artist, 700).await;
        let records = artist.list_records("fm.plyr.track").await;
        let fans = [Account::create(net, "quagfan").await, Account::create(net, "quagfriend").await];
        let fans = [&artist, &fans[0], &fans[1]];
        for (at, likes) in [(5, 1), (300, 3)] {
            for fan in &fans[..likes] {
                fan.like(&records[at]).await;
            }
            plyr.await_counts(&records[at].0, Some([likes as i64, 0, 0])).await;
        }
        indexer::search::rerank(&plyr.db.pool).await.expect("ranks");
        let found = titles(&plyr, &artist, "wintergreen quagmire").await;
        let mut best = Vec::new();
        for at in [300, 5] {
            best.push(artist.record(&records[at].0).await["title"].as_str().expect("a title").to_owned());
        }
        assert_eq!(found[..2], best[..]);
        // A row that is written anew stands elsewhere.
        sqlx::query("update search_entry set words = words where key in (select key from search_entry where kind = 1 order by name limit 300)")
            .execute(&plyr.db.pool)
            .await
            .expect("moved");
        assert_eq!(titles(&plyr, &artist, "Wintergreen QUAGMIRE").await, found);
    });
}

#[test]
fn everything_that_has_a_name_is_found_by_it() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "findme").await;
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        let mut track = pds::track("Kaleidoscope Song", &blob);
        track["album"] = json!("Kaleidoscope Album");
        track["tags"] = json!(["kaleidoscopic"]);
        let (uri, cid) = artist.create_record("fm.plyr.track", track).await;
        let list = json!({"listType": "playlist", "name": "Kaleidoscope Mix", "createdAt": now(),
                          "items": [{"subject": {"uri": uri, "cid": cid}}]});
        let (list, _) = artist.create_record("fm.plyr.list", list).await;
        artist
            .put_record(
                "app.bsky.actor.profile",
                "self",
                json!({"displayName": "Kaleidoscope Person", "createdAt": now()}),
            )
            .await;
        let kinds = async |answer: &Value| {
            let results = answer["results"].as_array().expect("results").iter();
            let kinds = results.map(|found| {
                found["$type"].as_str().expect("a type").rsplit('#').next().expect("a name").to_owned()
            });
            kinds.collect::<std::collections::BTreeSet<String>>()
        };
        let wanted = ["albumResult", "artistResult", "playlistResult", "tagResult", "trackResult"];
        eventually("all of them", || async {
            let (_, answer) = plyr.xrpc("fm.plyr.search.query", &[("q", "kaleid")]).await;
            let found: Vec<String> = kinds(&answer).await.into_iter().collect();
            same(found, wanted.map(str::to_owned).to_vec())
        })
        .await;
        let found =
            plyr.query("fm.plyr.search.query", &[("q", "kaleidoscope"), ("types", "playlists")]).await;
        assert_eq!(found["results"][0]["playlist"]["uri"], list.as_str(), "{found}");
        assert_eq!(found["results"].as_array().map(Vec::len), Some(1));
        eventually("who has the handle", || async {
            let found = plyr.query("fm.plyr.actor.searchActors", &[("q", &artist.handle)]).await;
            same(found["actors"][0]["did"].as_str(), Some(artist.did.as_str()))
        })
        .await;

        // The HTTP API: the counts are those of what it answers with.
        let answer: Value = plyr.get("/search/?q=kaleid&limit=1").await.json().await.expect("JSON");
        assert_eq!(
            answer["counts"],
            json!({"tracks": 1, "artists": 1, "albums": 1, "playlists": 1, "tags": 1}),
            "{answer}"
        );
        let results = answer["results"].as_array().expect("results");
        let relevances: Vec<f64> =
            results.iter().map(|item| item["relevance"].as_f64().expect("a number")).collect();
        assert!(relevances.is_sorted_by(|a, b| a >= b), "{relevances:?}");
        let track = results.iter().find(|item| item["type"] == "track").expect("the track");
        assert_eq!(track["title"], "Kaleidoscope Song");
        assert_eq!(track["id"], plyr.track_id(&uri).await);
        assert_eq!(track["artist_display_name"], "Kaleidoscope Person");
        let of = async |path: &str| plyr.get(path).await.status().as_u16();
        assert_eq!(of("/search?q=k").await, 422);
        assert_eq!(of("/search?q=%E5%A4%9C").await, 200);
        assert_eq!(of("/search").await, 422);
        assert_eq!(of("/search?q=kk&limit=51").await, 422);
        assert_eq!(of("/search?q=%00k").await, 422);

        // For editors of documents.
        let service = "at://did:plc:abc/parts.page.mention.service/self";
        let asked = [("service", service), ("search", "kaleidoscope song"), ("scope", "tracks")];
        let mentions = plyr.query("parts.page.mention.search", &asked).await;
        let mention = &mentions["results"][0];
        assert_eq!(mention["name"], "Kaleidoscope Song", "{mentions}");
        assert_eq!(mention["description"], "by Kaleidoscope Person");
        assert!(mention["embed"]["src"].as_str().is_some_and(|src| src.contains("/embed/track/")));

        // Rebuilt, it is found as before. Others go on writing meanwhile.
        let known = async || {
            let sql = "select kind || ' ' || key || ' ' || name || ' ' || words::text from search_entry order by kind, key";
            let mut known = plyr.db.texts(sql).await;
            known.retain(|entry| entry.contains(&artist.did) || entry.contains("kaleid"));
            known
        };
        let before = known().await;
        let rebuilt = plyr.command(&["rebuild"]).output().expect("it runs");
        assert!(rebuilt.status.success(), "{rebuilt:?}");
        eventually("nothing to be due", || async {
            same(plyr.db.number("select count(*) from search_due").await, 0)
        })
        .await;
        assert_eq!(before, known().await);
    });
}
