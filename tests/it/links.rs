//! Likes, reposts and shares of the whole network: who says what of a track, wherever and however they say so.

use serde_json::{Value, json};

use crate::world::gate::Act;
use crate::world::pds::now;
use crate::world::{Account, Gate, Plyr, eventually, network, run, same};

const PUBLIC_URL: &str = "http://plyr.example";
const LIKE: &str = "app.bsky.feed.like";
const POST: &str = "app.bsky.feed.post";

fn about(subject: &(String, String)) -> Value {
    json!({"subject": {"uri": subject.0, "cid": subject.1}, "createdAt": now()})
}

/// A post that shares a track by its page.
fn share(track: &str, origin: &str) -> Value {
    let (did, rest) = track["at://".len()..].split_once('/').expect("a URI");
    let page = format!("{origin}/track/{did}/{}", rest.rsplit('/').next().expect("a key"));
    let external = json!({"uri": page, "title": "a track", "description": ""});
    json!({"text": "listen", "createdAt": now(), "embed": {"$type": "app.bsky.embed.external", "external": external}})
}

/// Likes in all; by fm.plyr.like, on Bluesky, by shares; shares; reposts.
async fn numbers(plyr: &Plyr, track: &str) -> Option<[i64; 6]> {
    let view = plyr.track(track).await?;
    let sources = &view["likeSources"];
    let all = [
        &view["likeCount"],
        &sources["plyr"],
        &sources["bluesky"],
        &sources["shares"],
        &view["shareCount"],
        &view["repostCount"],
    ];
    Some(all.map(|number| number.as_i64().expect("a number")))
}

async fn await_numbers(plyr: &Plyr, track: &str, wanted: [i64; 6]) {
    eventually("the numbers", || async { same(numbers(plyr, track).await, Some(wanted)) }).await;
}

fn rebuild(plyr: &Plyr) -> String {
    let output = plyr.command(&["rebuild"]).output().expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

async fn plain(plyr: &Plyr, path: &str) -> Value {
    plyr.get(path).await.json().await.expect("JSON")
}

#[test]
fn a_person_counts_once_however_they_say_it() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_PUBLIC_URL", PUBLIC_URL)]).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("everywhere").await;
        await_numbers(&plyr, &track.0, [0; 6]).await;
        let (both, sharer, fan) = (
            Account::create(net, "both").await,
            Account::create(net, "sharer").await,
            Account::create(net, "fan").await,
        );
        // One person in two ways; and nobody whom plyr had heard of before.
        let own = both.like(&track).await;
        let theirs = both.create_record(LIKE, about(&track)).await;
        await_numbers(&plyr, &track.0, [1, 1, 1, 0, 0, 0]).await;
        // By way of a post, and once more by that.
        let post = sharer.create_record(POST, share(&track.0, PUBLIC_URL)).await;
        let by_post = fan.create_record(LIKE, about(&post)).await;
        let again = both.create_record(LIKE, about(&post)).await;
        fan.create_record("app.bsky.feed.repost", about(&post)).await;
        fan.create_record("app.bsky.feed.repost", about(&track)).await;
        await_numbers(&plyr, &track.0, [2, 1, 1, 2, 1, 1]).await;

        let likes = plyr.query("fm.plyr.feed.getLikes", &[("uri", &track.0)]).await;
        let mut shown: Vec<(&Value, &Value, &Value)> = likes["likes"]
            .as_array()
            .expect("likes")
            .iter()
            .map(|like| (&like["uri"], &like["source"], &like["via"]))
            .collect();
        shown.sort_by_key(|(uri, ..)| **uri != json!(by_post.0));
        let (share, plyr_like) = (json!("share"), json!("plyr"));
        assert_eq!(shown[0], (&json!(by_post.0), &share, &json!(post.0)));
        assert_eq!(shown[1], (&json!(own.0), &plyr_like, &Value::Null), "the oldest stands for both");
        assert_eq!(shown.len(), 2);

        // What is taken back is told without what it was of.
        fan.delete_record(&by_post.0).await;
        both.delete_record(&own.0).await;
        await_numbers(&plyr, &track.0, [1, 0, 1, 1, 1, 1]).await;
        both.delete_record(&theirs.0).await;
        await_numbers(&plyr, &track.0, [1, 0, 0, 1, 1, 1]).await;
        // A share that goes takes its likes with it.
        sharer.delete_record(&post.0).await;
        await_numbers(&plyr, &track.0, [0, 0, 0, 0, 0, 1]).await;
        both.delete_record(&again.0).await;
        plyr.await_quiet().await;
        assert!(rebuild(&plyr).contains(" 0 counts mended"));
    });
}

#[test]
fn who_is_hidden_counts_nowhere_until_they_return() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_PUBLIC_URL", PUBLIC_URL)]).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("hide and seek").await;
        await_numbers(&plyr, &track.0, [0; 6]).await;
        let (sharer, fan) = (Account::create(net, "sharer").await, Account::create(net, "fan").await);
        let post = sharer.create_record(POST, share(&track.0, PUBLIC_URL)).await;
        fan.create_record(LIKE, about(&post)).await;
        sharer.create_record(LIKE, about(&post)).await;
        await_numbers(&plyr, &track.0, [2, 0, 0, 2, 1, 0]).await;
        // The author of the post: nobody likes by way of it any more.
        sharer.deactivate().await;
        await_numbers(&plyr, &track.0, [0; 6]).await;
        sharer.activate().await;
        await_numbers(&plyr, &track.0, [2, 0, 0, 2, 1, 0]).await;
        fan.deactivate().await;
        await_numbers(&plyr, &track.0, [1, 0, 0, 1, 1, 0]).await;
        // Both at once, and back in the other order.
        sharer.deactivate().await;
        await_numbers(&plyr, &track.0, [0; 6]).await;
        fan.activate().await;
        sharer.activate().await;
        await_numbers(&plyr, &track.0, [2, 0, 0, 2, 1, 0]).await;
        sharer.delete_account(net).await;
        await_numbers(&plyr, &track.0, [0; 6]).await;
        plyr.await_quiet().await;
        assert!(rebuild(&plyr).contains(" 0 counts mended"));
    });
}

/// A like of before the post was known to share something is asked for at its author's PDS. What arrives may have been damaged on
/// its way: that it proves nothing is not believed at once.
#[test]
fn a_damaged_answer_is_not_the_last_word_on_a_like() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = Plyr::up_with(&net, &[("PLYR_PUBLIC_URL", PUBLIC_URL)]).await;
        let artist = Account::create(&net, "artist").await;
        let (sharer, fan) = (Account::create(&net, "sharer").await, Account::create(&net, "fan").await);
        let track = artist.create_track("found later").await;
        let post = sharer.create_record(POST, json!({"text": "wait for it", "createdAt": now()})).await;
        fan.create_record(LIKE, about(&post)).await;
        // All of that has been heard when this has.
        let last = artist.create_track("after the like").await;
        await_numbers(&plyr, &last.0, [0; 6]).await;
        let question = ["com.atproto.sync.getRecord", LIKE];
        for kept in [40, 300] {
            gate.rule(1, &question, Act::Cut(kept));
        }
        let key = post.0.rsplit('/').next().expect("a key");
        sharer.put_record(POST, key, share(&track.0, PUBLIC_URL)).await;
        await_numbers(&plyr, &track.0, [1, 0, 0, 1, 1, 0]).await;
        assert_eq!(gate.count(&question), 3);
    });
}

#[test]
fn who_names_what_is_told_to_anybody() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_PUBLIC_URL", PUBLIC_URL)]).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("named").await;
        await_numbers(&plyr, &track.0, [0; 6]).await;
        let mut fans = Vec::new();
        for number in 0..5 {
            let fan = Account::create(net, &format!("fan{number}")).await;
            fan.create_record(LIKE, about(&track)).await;
            fans.push(fan);
        }
        let twice = fans[0].create_record(LIKE, about(&track)).await;
        await_numbers(&plyr, &track.0, [5, 0, 5, 0, 0, 0]).await;
        let source = format!("{LIKE}:subject.uri");
        let subject = [("subject", track.0.as_str()), ("source", source.as_str())];
        eventually("the second like of one", || async {
            let count = plyr.query("blue.microcosm.links.getBacklinksCount", &subject).await;
            same(count["total"].as_i64(), Some(6))
        })
        .await;

        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = subject.to_vec();
            query.push(("limit", "2"));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = plyr.query("blue.microcosm.links.getBacklinks", &query).await;
            assert_eq!(page["total"], 6);
            seen.extend(page["records"].as_array().expect("records").clone());
            match page["cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(seen.len(), 6);
        assert_eq!(seen[0]["rkey"], twice.0.rsplit('/').next().expect("a key"), "the newest first");
        let page = plyr
            .query("blue.microcosm.links.getBacklinks", &[&subject[..], &[("reverse", "true")]].concat())
            .await;
        let mut backwards = page["records"].as_array().expect("records").clone();
        backwards.reverse();
        assert_eq!(backwards, seen);
        let of_one = [&subject[..], &[("did", fans[0].did.as_str())]].concat();
        let page = plyr.query("blue.microcosm.links.getBacklinks", &of_one).await;
        assert_eq!(page["records"].as_array().expect("records").len(), 2);

        // The page that shows it stands for it.
        let page =
            share(&track.0, PUBLIC_URL)["embed"]["external"]["uri"].as_str().expect("a page").to_owned();
        let query = [("subject", page.as_str()), ("source", source.as_str())];
        assert_eq!(plyr.query("blue.microcosm.links.getBacklinksCount", &query).await["total"], 6);
        let dids = plyr.query("blue.microcosm.links.getBacklinkDids", &subject).await;
        let mut wanted: Vec<&str> = fans.iter().map(|fan| fan.did.as_str()).collect();
        wanted.sort_unstable();
        assert_eq!((&dids["total"], &dids["linking_dids"]), (&json!(5), &json!(wanted)));

        let older = format!("target={}&collection={LIKE}&path=.subject.uri", track.0);
        assert_eq!(plain(&plyr, &format!("/links/count?{older}")).await, json!({"total": 6}));
        assert_eq!(plain(&plyr, &format!("/links/count/distinct-dids?{older}")).await, json!({"total": 5}));
        assert_eq!(plain(&plyr, &format!("/links?{older}")).await["linking_records"], json!(seen));
        assert_eq!(
            plain(&plyr, &format!("/links/distinct-dids?{older}")).await["linking_dids"],
            json!(wanted)
        );
        let everywhere = plain(&plyr, &format!("/links/all/count?target={}", track.0)).await;
        assert_eq!(everywhere, json!({"links": {LIKE: {".subject.uri": 6}}}));
        let everywhere = plain(&plyr, &format!("/links/all?target={}", track.0)).await;
        assert_eq!(everywhere["links"][LIKE][".subject.uri"], json!({"records": 6, "distinct_dids": 5}));
        for (path, names) in
            [("/links/count?target=x", "path"), ("/links?target=x&collection=y&path=z", "path")]
        {
            let answer = plyr.get(path).await;
            assert_eq!(answer.status(), 400, "{path}");
            assert!(answer.text().await.expect("text").contains(names), "{path}");
        }

        // Totals know who is to be seen.
        fans[0].deactivate().await;
        await_numbers(&plyr, &track.0, [4, 0, 4, 0, 0, 0]).await;
        assert_eq!(plyr.query("blue.microcosm.links.getBacklinksCount", &subject).await["total"], 4);
        let page = plyr.query("blue.microcosm.links.getBacklinks", &subject).await;
        assert_eq!(page["records"].as_array().expect("records").len(), 4);
    });
}
