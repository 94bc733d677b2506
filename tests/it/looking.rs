//! What people said of a post before it was known to share something: from our own notes, from the repos that are read as a whole, and
//! from a service that knows who links to what.

use std::process::{Child, Stdio};

use indexer::syntax::Tid;
use serde_json::{Value, json};

use crate::world::network::Network;
use crate::world::pds::now;
use crate::world::{Account, Plyr, eventually, network, run, same};

const PUBLIC_URL: &str = "http://plyr.example";
const LIKE: &str = "app.bsky.feed.like";
const POST: &str = "app.bsky.feed.post";

fn about(subject: &(String, String)) -> Value {
    json!({"subject": {"uri": subject.0, "cid": subject.1}, "createdAt": now()})
}

fn page(track: &str, origin: &str) -> String {
    let (did, rest) = track["at://".len()..].split_once('/').expect("a URI");
    format!("{origin}/track/{did}/{}", rest.rsplit('/').next().expect("a key"))
}

/// A post that shares a track by its page.
fn share(track: &str, origin: &str) -> Value {
    let external = json!({"uri": page(track, origin), "title": "a track", "description": ""});
    json!({"text": "listen", "createdAt": now(), "embed": {"$type": "app.bsky.embed.external", "external": external}})
}

fn plain() -> Value {
    json!({"text": "wait for it", "createdAt": now()})
}

fn quote(post: &(String, String)) -> Value {
    let record = json!({"uri": post.0, "cid": post.1});
    json!({"text": "look", "createdAt": now(), "embed": {"$type": "app.bsky.embed.record", "record": record}})
}

fn quote_with_media(post: &(String, String)) -> Value {
    let record = json!({"$type": "app.bsky.embed.record", "record": {"uri": post.0, "cid": post.1}});
    let external = json!({"uri": "https://elsewhere.example/", "title": "", "description": ""});
    let media = json!({"$type": "app.bsky.embed.external", "external": external});
    let embed = json!({"$type": "app.bsky.embed.recordWithMedia", "record": record, "media": media});
    json!({"text": "look", "createdAt": now(), "embed": embed})
}

/// A record key of so long ago.
fn key(minutes: i64, nth: i64) -> String {
    let us = chrono::Utc::now().timestamp_micros() - minutes * 60_000_000 + nth;
    Tid::from_timestamp_us(us, 7).to_string()
}

/// Likes, by way of shares; shares.
async fn numbers(plyr: &Plyr, track: &str) -> Option<[i64; 3]> {
    let view = plyr.track(track).await?;
    let all = [&view["likeCount"], &view["likeSources"]["shares"], &view["shareCount"]];
    Some(all.map(|number| number.as_i64().expect("a number")))
}

async fn await_numbers(plyr: &Plyr, track: &str, wanted: [i64; 3]) {
    eventually("the numbers", || async { same(numbers(plyr, track).await, Some(wanted)) }).await;
}

/// How many people name a post so.
async fn await_links(plyr: &Plyr, post: &str, source: &str, wanted: i64) {
    eventually("the links", || async {
        let query = [("subject", post), ("source", source)];
        let count = plyr.query("blue.microcosm.links.getBacklinksCount", &query).await;
        same(count["total"].as_i64(), Some(wanted))
    })
    .await;
}

#[test]
fn who_quotes_a_share_is_told() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_PUBLIC_URL", PUBLIC_URL)]).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("quoted").await;
        let (sharer, one, two) = (
            Account::create(net, "sharer").await,
            Account::create(net, "one").await,
            Account::create(net, "two").await,
        );
        let (alone, beside) = (format!("{POST}:embed.record.uri"), format!("{POST}:embed.record.record.uri"));
        let post = sharer.create_record(POST, share(&track.0, PUBLIC_URL)).await;
        let quoted = one.create_record(POST, quote(&post)).await;
        two.create_record(POST, quote_with_media(&post)).await;
        await_links(&plyr, &post.0, &alone, 1).await;
        await_links(&plyr, &post.0, &beside, 1).await;
        // Who quotes a share shares nothing, and who likes the quote does not like the track.
        two.create_record(LIKE, about(&quoted)).await;
        await_numbers(&plyr, &track.0, [0, 0, 1]).await;

        // Quoted before it shared anything.
        let later = sharer.create_record(POST, plain()).await;
        one.create_record(POST, quote(&later)).await;
        two.create_record(POST, plain()).await;
        let last = artist.create_track("after the quote").await;
        await_numbers(&plyr, &last.0, [0; 3]).await;
        let rkey = later.0.rsplit('/').next().expect("a key");
        sharer.put_record(POST, rkey, share(&track.0, PUBLIC_URL)).await;
        await_links(&plyr, &later.0, &alone, 1).await;
        await_numbers(&plyr, &track.0, [0, 0, 2]).await;

        one.delete_record(&quoted.0).await;
        await_links(&plyr, &post.0, &alone, 0).await;
        plyr.await_quiet().await;
        let rebuilt = plyr.command(&["rebuild"]).output().expect("it runs");
        assert!(String::from_utf8_lossy(&rebuilt.stdout).contains(" 0 counts mended"));
        await_links(&plyr, &post.0, &beside, 1).await;
    });
}

/// Another plyr is the service: it knows the post as a share of its own page.
#[test]
fn a_service_that_is_away_is_asked_until_it_has_told_all() {
    run(async {
        let net = network();
        let mut elder = Plyr::up_with(net, &[("PLYR_PUBLIC_URL", "http://elder.example")]).await;
        let settings = [("PLYR_PUBLIC_URL", PUBLIC_URL), ("PLYR_BACKLINKS_URL", elder.url.as_str())];
        let plyr = Plyr::up_with(net, &settings).await;
        let (artist, sharer, fan, quoter) = (
            Account::create(net, "artist").await,
            Account::create(net, "sharer").await,
            Account::create(net, "fan").await,
            Account::create(net, "quoter").await,
        );
        let track = artist.create_track("known elsewhere").await;
        // Too old to be waited for when it is liked.
        let rkey = key(60, 0);
        let post = sharer.put_record(POST, &rkey, share(&track.0, "http://elder.example")).await;
        await_numbers(&elder, &track.0, [0, 0, 1]).await;
        fan.create_record(LIKE, about(&post)).await;
        quoter.create_record(POST, quote(&post)).await;
        await_numbers(&elder, &track.0, [1, 1, 1]).await;
        await_links(&elder, &post.0, &format!("{POST}:embed.record.uri"), 1).await;
        let last = artist.create_track("after the like").await;
        await_numbers(&plyr, &last.0, [0; 3]).await;
        assert!(elder.terminate().await.success());

        sharer.put_record(POST, &rkey, share(&track.0, PUBLIC_URL)).await;
        eventually("a question in vain", || async {
            let asked = "select count(*) from job where kind = 'backlinks' and attempts > 0 and last_error is not null";
            same(plyr.db.number(asked).await, 1)
        })
        .await;
        await_numbers(&plyr, &track.0, [0, 0, 1]).await;
        elder.start().await;
        await_numbers(&plyr, &track.0, [1, 1, 1]).await;
        await_links(&plyr, &post.0, &format!("{POST}:embed.record.uri"), 1).await;
    });
}

/// Likes come before posts in a repo, and people are read one after the other.
#[test]
fn repos_that_are_read_as_a_whole_are_read_in_any_order() {
    run(async {
        let net = &Network::start(&[]);
        let (artist, first, second) = (
            Account::create(net, "artist").await,
            Account::create(net, "first").await,
            Account::create(net, "second").await,
        );
        let track = artist.create_track("of before").await;
        let mut posts = Vec::new();
        for (nth, person) in [&first, &second].into_iter().enumerate() {
            person.create_record("fm.plyr.comment", crate::world::pds::comment(&track, "here", 1)).await;
            posts.push(person.put_record(POST, &key(600, nth as i64), share(&track.0, PUBLIC_URL)).await);
        }
        for person in [&first, &second] {
            for (nth, post) in posts.iter().enumerate() {
                person.put_record(LIKE, &key(500, nth as i64), about(post)).await;
            }
            // More than is read at once, between the likes and the posts.
            for part in 0..3 {
                let writes = (0..180).map(|nth| {
                    let nobodys = (format!("at://{}/{POST}/{}", artist.did, key(900, nth)), track.1.clone());
                    let like = about(&nobodys);
                    json!({
                        "$type": "com.atproto.repo.applyWrites#create", "collection": LIKE,
                        "rkey": key(400, part * 1000 + nth), "value": like,
                    })
                });
                person.apply_writes(writes.collect()).await;
            }
        }
        let plyr = Plyr::up_with(net, &[("PLYR_PUBLIC_URL", PUBLIC_URL)]).await;
        await_numbers(&plyr, &track.0, [2, 2, 2]).await;
    });
}

/// A process of plyr that answers nobody. Killed when this is dropped.
struct Part(Child);

impl Part {
    fn of(plyr: &Plyr, word: &str) -> Part {
        let log = std::fs::File::options().create(true).append(true).open(plyr.log()).expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut command = plyr.command(&[word]);
        let command =
            command.env("PLYR_METRICS_LISTEN", "off").stdin(Stdio::null()).stdout(log).stderr(errors);
        Part(command.spawn().expect("plyr runs"))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn what_one_process_finds_out_another_hears_of_at_once() {
    run(async {
        let net = network();
        // Its own process ends; what it was told stays.
        let mut plyr = Plyr::up_with(net, &[("PLYR_PUBLIC_URL", PUBLIC_URL)]).await;
        assert!(plyr.terminate().await.success());
        let _index = Part::of(&plyr, "index");
        let _work = Part::of(&plyr, "work");
        let plyr = plyr.twin().await;
        let artist = Account::create(net, "artist").await;
        let (sharer, fan) = (Account::create(net, "sharer").await, Account::create(net, "fan").await);
        let track = artist.create_track("asked for elsewhere").await;
        await_numbers(&plyr, &track.0, [0; 3]).await;
        let post = sharer.create_record(POST, plain()).await;
        let like = fan.create_record(LIKE, about(&post)).await;
        eventually("a note of the like", || async {
            let noted = plyr.db.texts("select uri from awaited_link").await;
            if noted.contains(&like.0) { Ok(()) } else { Err(noted.join(" ")) }
        })
        .await;
        let rkey = post.0.rsplit('/').next().expect("a key");
        sharer.put_record(POST, rkey, share(&track.0, PUBLIC_URL)).await;
        await_numbers(&plyr, &track.0, [1, 1, 1]).await;
        // Whoever worked met the fan; whoever listens hears of it, and what was missed until then is asked for.
        let doubts = plyr.db.texts("select key from job where kind = 'doubt' and run_at > now()").await;
        assert!(doubts.contains(&fan.did), "{doubts:?}");
        fan.delete_record(&like.0).await;
        await_numbers(&plyr, &track.0, [0, 0, 1]).await;
        assert_eq!(
            plyr.db.texts("select key from job where kind = 'doubt'").await,
            doubts,
            "before that was due"
        );
    });
}
