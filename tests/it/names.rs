//! What is named by a handle or by a page's number: it counts as if it were named by its DID, and goes on to when the handle
//! changes hands.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::pds::now;
use crate::world::{Account, Plyr, eventually, network, run, same};

const PUBLIC_URL: &str = "http://plyr.example";
const ELSEWHERE: &str = "https://elsewhere.example";
const LIKE: &str = "app.bsky.feed.like";
const POST: &str = "app.bsky.feed.post";

async fn up() -> Plyr {
    up_at(PUBLIC_URL).await
}

async fn up_at(url: &str) -> Plyr {
    Plyr::up_with(network(), &[("PLYR_PUBLIC_URL", url), ("PLYR_PAGE_ORIGINS", ELSEWHERE)]).await
}

fn rkey(uri: &str) -> &str {
    uri.rsplit('/').next().expect("a key")
}

fn about(uri: &str, cid: &str) -> Value {
    json!({"subject": {"uri": uri, "cid": cid}, "createdAt": now()})
}

/// A post with this address in its text.
fn post(address: &str) -> Value {
    let link = json!({"$type": "app.bsky.richtext.facet#link", "uri": address});
    json!({"text": "listen", "createdAt": now(),
           "facets": [{"index": {"byteStart": 0, "byteEnd": 6}, "features": [link]}]})
}

/// Likes, comments, plays, shares.
async fn await_numbers(plyr: &Plyr, track: &str, wanted: [i64; 4]) {
    eventually("the numbers", || async {
        let view = plyr.track(track).await;
        let number = |name: &str| view.as_ref().and_then(|view| view[name].as_i64());
        let all = ["likeCount", "commentCount", "playCount", "shareCount"].map(number);
        same(all, wanted.map(Some))
    })
    .await;
}

/// How often these people named something by what means nothing: other tests do so, too.
async fn await_notes(plyr: &Plyr, people: &[&Account], wanted: usize) {
    eventually("the notes", || async {
        let noted = plyr.db.texts("select did from record_name where meaning is null").await;
        let theirs = noted.iter().filter(|did| people.iter().any(|person| person.did == **did));
        same(theirs.count(), wanted)
    })
    .await;
}

fn tell(plyr: &Plyr, arguments: &[&str]) -> (bool, String) {
    let output = plyr.command(arguments).stdin(Stdio::null()).output().expect("it runs");
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).expect("text"))
}

#[test]
fn a_handle_means_who_had_it_then() {
    run(async {
        let net = network();
        let plyr = up().await;
        let artist = Account::create(net, "called").await;
        let (uri, cid) = artist.create_track("by name").await;
        await_numbers(&plyr, &uri, [0; 4]).await;
        let named = format!("at://{}/fm.plyr.track/{}", artist.handle.to_uppercase(), rkey(&uri));
        eventually("the handle", || async {
            let (_, profile) = plyr.xrpc("fm.plyr.actor.getProfile", &[("actor", &artist.did)]).await;
            same(profile["handle"].as_str(), Some(artist.handle.as_str()))
        })
        .await;

        let (one, two) = (Account::create(net, "namingone").await, Account::create(net, "namingtwo").await);
        one.create_record("fm.plyr.like", about(&named, &cid)).await;
        let bluesky = two.create_record(LIKE, about(&named, &cid)).await;
        let mut comment = about(&named, &cid);
        (comment["text"], comment["timestampMs"]) = (json!("heard"), json!(0));
        one.create_record("fm.plyr.comment", comment).await;
        let item = json!({"subject": {"uri": named, "cid": cid}});
        let mut list = json!({"items": [item], "createdAt": now()});
        list["listType"] = json!("playlist");
        let list = one.create_record("fm.plyr.list", list).await;
        let page = format!("{PUBLIC_URL}/track/{}/{}", artist.handle, rkey(&uri));
        let share = two.create_record(POST, post(&page)).await;
        one.create_record(LIKE, about(&share.0, &share.1)).await;
        let play = json!({
            "trackName": "by name", "artists": [{"artistName": "n"}], "playedTime": now(), "originUri": page,
        });
        one.create_record("fm.teal.feed.play", play).await;
        await_numbers(&plyr, &uri, [2, 1, 1, 1]).await;
        let query = [("subject", named.as_str()), ("source", "fm.plyr.list:items[].subject.uri")];
        let links = plyr.query("blue.microcosm.links.getBacklinks", &query).await;
        assert_eq!(links["records"][0]["rkey"], rkey(&list.0));
        eventually("the sources", || async {
            let track = plyr.track(&uri).await.expect("it is there");
            same(track["likeSources"].clone(), json!({"plyr": 1, "bluesky": 1, "shares": 1}))
        })
        .await;

        // Another name for the artist, and somebody else with the old one.
        let (old, new) = (artist.handle.clone(), format!("re{}", artist.handle));
        artist.post("com.atproto.identity.updateHandle", &json!({"handle": new})).await;
        one.post("com.atproto.identity.updateHandle", &json!({"handle": old})).await;
        eventually("the exchange", || async {
            let (_, profile) = plyr.xrpc("fm.plyr.actor.getProfile", &[("actor", &one.did)]).await;
            same(profile["handle"].as_str(), Some(old.as_str()))
        })
        .await;
        // What comes from now on means them; what was here before does not.
        let theirs = one.create_track("another").await;
        let now_theirs = format!("at://{old}/fm.plyr.track/{}", rkey(&theirs.0));
        two.create_record(LIKE, about(&now_theirs, &theirs.1)).await;
        await_numbers(&plyr, &theirs.0, [1, 0, 0, 0]).await;
        await_numbers(&plyr, &uri, [2, 1, 1, 1]).await;
        let (good, text) = tell(&plyr, &["audit", "counts"]);
        assert!(good, "{text}");
        let (good, text) = tell(&plyr, &["rebuild"]);
        assert!(good && text.contains(" 0 counts mended"), "{text}");
        await_numbers(&plyr, &uri, [2, 1, 1, 1]).await;
        two.delete_record(&bluesky.0).await;
        await_numbers(&plyr, &uri, [1, 1, 1, 1]).await;
        two.delete_record(&share.0).await;
        await_numbers(&plyr, &uri, [1, 1, 1, 0]).await;
    });
}

#[test]
fn what_is_named_by_an_unknown_handle_counts_when_it_is_known() {
    run(async {
        let net = network();
        let plyr = up().await;
        let artist = Account::create(net, "comesafter").await;
        let (one, two) =
            (Account::create(net, "goesbefore").await, Account::create(net, "sharesfirst").await);
        let (rkey, cid) = ("3jzfcijpj2z2a", "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a");
        let named = format!("at://{}/fm.plyr.track/{rkey}", artist.handle);
        one.create_record("fm.plyr.like", about(&named, cid)).await;
        let share =
            two.create_record(POST, post(&format!("{PUBLIC_URL}/track/{}/{rkey}", artist.handle))).await;
        await_notes(&plyr, &[&one, &two], 2).await;
        let (_, text) = tell(&plyr, &["problems", "--did", &one.did]);
        assert!(text.contains("UnknownHandle") && text.contains(&artist.handle), "{text}");
        // Nobody has looked who that is: the artist begins to write only now.
        let blob = artist.upload("audio/wav", crate::world::pds::wav(440, 1)).await;
        let (uri, _) =
            artist.put_record("fm.plyr.track", rkey, crate::world::pds::track("after", &blob)).await;
        await_numbers(&plyr, &uri, [1, 0, 0, 1]).await;
        one.create_record(LIKE, about(&share.0, &share.1)).await;
        two.create_record(LIKE, about(&share.0, &share.1)).await;
        await_numbers(&plyr, &uri, [2, 0, 0, 1]).await;
        await_notes(&plyr, &[&one, &two], 0).await;
        let (_, text) = tell(&plyr, &["problems", "--did", &one.did]);
        assert!(!text.contains("UnknownHandle"), "{text}");
    });
}

#[test]
fn a_page_with_a_number_shows_what_its_server_tells() {
    run(async {
        let net = network();
        // Its numbers are other tracks with other servers, which see the same network.
        const OWN: &str = "http://numbered.example";
        let plyr = up_at(OWN).await;
        let (artist, fan) = (Account::create(net, "numbered").await, Account::create(net, "numberfan").await);
        let (uri, _) = artist.create_track("in two places").await;
        await_numbers(&plyr, &uri, [0; 4]).await;
        let number = plyr.track_id(&uri).await;
        // Our own number; theirs, which means nothing here yet; and ours on another host, which is none of ours.
        fan.create_record(POST, post(&format!("{OWN}/track/{number}"))).await;
        let theirs = fan.create_record(POST, post(&format!("{ELSEWHERE}/track/4711?from=bsky"))).await;
        fan.create_record(POST, post(&format!("{ELSEWHERE}/track/{number}"))).await;
        await_numbers(&plyr, &uri, [0, 0, 0, 1]).await;
        await_notes(&plyr, &[&fan], 2).await;
        let answer = plyr.get(&format!("/track/{number}")).await;
        let shown = answer.url().path().to_owned();
        assert_eq!(shown, format!("/track/{}/{}", artist.did, rkey(&uri)));
        eventually("the page by handle", || async {
            let answer = plyr.get(&format!("/track/{}/{}", artist.handle, rkey(&uri))).await;
            same(answer.url().path().to_owned(), shown.clone())
        })
        .await;
        assert_eq!(plyr.get("/track/99999999").await.status(), 404);

        let file = plyr.data.path().join("pages.jsonl");
        let lines = format!(
            "{{\"id\": 4711, \"atproto_record_uri\": \"{uri}\", \"title\": \"in two places\"}}\n\n\
             {{\"page\": \"{ELSEWHERE}/u/{}/album/first%20light\", \"uri\": \"{uri}\"}}\n",
            artist.handle
        );
        std::fs::write(&file, &lines).expect("written");
        let path = file.to_str().expect("a path");
        let (good, text) = tell(&plyr, &["import-pages", path, "--origin", ELSEWHERE]);
        assert!(good && text.contains("2 pages are new, 0 show something else"), "{text}");
        await_numbers(&plyr, &uri, [0, 0, 0, 2]).await;
        fan.create_record(LIKE, about(&theirs.0, &theirs.1)).await;
        fan.create_record(POST, post(&format!("{ELSEWHERE}/u/{}/album/first%20light", artist.handle))).await;
        await_numbers(&plyr, &uri, [1, 0, 0, 3]).await;
        // Twice is once, and what is wrong is named by its line.
        std::fs::write(&file, format!("{lines}{{\"id\": 4712}}\nnonsense\n")).expect("written");
        let (good, text) = tell(&plyr, &["import-pages", path, "--origin", ELSEWHERE]);
        assert!(!good && text.contains("0 pages are new, 0 show something else"), "{text}");
        assert!(text.contains("line 4: uri: is missing") && text.contains("line 5: "), "{text}");
        let (good, text) = tell(&plyr, &["audit", "counts"]);
        assert!(good, "{text}");
    });
}

#[test]
fn an_album_is_called_by_its_name() {
    run(async {
        let net = network();
        let plyr = up().await;
        let (artist, fan) = (Account::create(net, "albumist").await, Account::create(net, "albumfan").await);
        let by_handle = format!("{PUBLIC_URL}/u/{}/album/caf-ol", artist.handle);
        let by_did = format!("{ELSEWHERE}/u/{}/album/Caf%C3%A9%20Ol%C3%A9", artist.did);
        let before = fan.create_record(POST, post(&by_handle)).await;
        await_notes(&plyr, &[&fan], 1).await;

        let (track, cid) = artist.create_track("on it").await;
        let album = |name: &str| {
            json!({"listType": "album", "name": name, "createdAt": now(),
                   "items": [{"subject": {"uri": track, "cid": cid}}]})
        };
        let list = artist.create_record("fm.plyr.list", album("Café Olé")).await;
        let after = fan.create_record(POST, post(&by_did)).await;
        let shared = async |list: &str| {
            let query = [
                ("subject", list),
                ("source", "app.bsky.feed.post:facets[].features[app.bsky.richtext.facet#link].uri"),
            ];
            let links = plyr.query("blue.microcosm.links.getBacklinks", &query).await;
            let keys =
                links["records"].as_array().expect("records").iter().map(|record| record["rkey"].clone());
            keys.map(|key| key.as_str().expect("a key").to_owned()).collect::<Vec<_>>()
        };
        let both = [rkey(&after.0).to_owned(), rkey(&before.0).to_owned()];
        eventually("both posts", || async { same(shared(&list.0).await, both.to_vec()) }).await;

        // A second of that name is another; what was renamed is still found by its old name.
        let second = artist.create_record("fm.plyr.list", album("café olé")).await;
        artist.put_record("fm.plyr.list", rkey(&list.0), album("Another Name")).await;
        let mine = async |sql: &'static str| {
            let all = plyr.db.texts(sql).await;
            all.iter().filter_map(|row| row.strip_prefix(&*artist.did)).map(str::to_owned).collect::<Vec<_>>()
        };
        eventually("the names", || async {
            same(
                mine("select did || slug from album order by slug").await,
                vec!["another-name".to_owned(), "café-olé-2".to_owned()],
            )
        })
        .await;
        let old = fan.create_record(POST, post(&by_did)).await;
        let new =
            fan.create_record(POST, post(&format!("{PUBLIC_URL}/u/{}/album/another-name", artist.did))).await;
        let other =
            fan.create_record(POST, post(&format!("{PUBLIC_URL}/u/{}/album/café-olé-2", artist.did))).await;
        let of_first = [&new, &old, &after, &before].map(|post| rkey(&post.0).to_owned()).to_vec();
        eventually("the first's", || async { same(shared(&list.0).await, of_first.clone()) }).await;
        eventually("the second's", || async {
            same(shared(&second.0).await, vec![rkey(&other.0).to_owned()])
        })
        .await;

        let ids = async || mine("select did || id from album order by slug").await;
        let given = ids().await;
        let (good, text) = tell(&plyr, &["rebuild"]);
        assert!(good && text.contains(" 0 counts mended"), "{text}");
        assert_eq!((ids().await, shared(&list.0).await), (given, of_first));
        let (good, text) = tell(&plyr, &["audit", "counts"]);
        assert!(good, "{text}");
        // One that takes the place of what was deleted has its name.
        artist.delete_record(&second.0).await;
        let third = artist.create_record("fm.plyr.list", album("CAFÉ OLÉ")).await;
        let late =
            fan.create_record(POST, post(&format!("{PUBLIC_URL}/u/{}/album/café-olé-2", artist.did))).await;
        eventually("the third's", || async { same(shared(&third.0).await, vec![rkey(&late.0).to_owned()]) })
            .await;
    });
}
