//! The feed for Bluesky: posts that share what is liked most today.

use indexer::change::{Input, Status};
use indexer::syntax::{AtUri, Did};
use serde_json::{Value, json};

use super::hall::{Hall, did};
use crate::world::run;

const FEED: &str = "at://did:web:anybody.example/app.bsky.feed.generator/plyr-top";

impl Hall {
    /// A post that links to the pages of these tracks.
    async fn share(&self, did: &Did, tracks: &[&AtUri]) -> AtUri {
        let facet = |track: &&AtUri| {
            let page = format!("https://music.example/track/{}/{}", track.did(), track.rkey());
            json!({"index": {"byteStart": 0, "byteEnd": 6},
                   "features": [{"$type": "app.bsky.richtext.facet#link", "uri": page}]})
        };
        let facets: Vec<Value> = tracks.iter().map(facet).collect();
        let post = json!({"$type": "app.bsky.feed.post", "text": "listen", "facets": facets, "createdAt": crate::world::pds::now()});
        let (uri, input) = self.report(did, "app.bsky.feed.post", &post);
        self.say(vec![input]).await;
        uri
    }

    fn like_post(&self, did: &Did, post: &AtUri) -> Input {
        let like = json!({
            "$type": "app.bsky.feed.like", "createdAt": crate::world::pds::now(),
            "subject": {"uri": post.as_str(), "cid": "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a"},
        });
        self.report(did, "app.bsky.feed.like", &like).1
    }

    /// The feed, by pages of so many.
    async fn feed(&self, limit: &str) -> Vec<String> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("feed", FEED), ("limit", limit)];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let request =
                self.plyr.http().get(format!("{}/xrpc/app.bsky.feed.getFeedSkeleton", self.plyr.url));
            // Not what was kept of a moment ago.
            let answer = request.query(&query).bearer_auth("nobody").send().await.expect("plyr answers");
            assert_eq!(answer.status(), 200);
            let page: Value = answer.json().await.expect("JSON");
            let posts = page["feed"].as_array().expect("a feed").iter();
            let before = all.len();
            all.extend(posts.map(|item| item["post"].as_str().expect("a post").to_owned()));
            let held = all.len() - before;
            assert!(held <= limit.parse().expect("a number"), "{page}");
            match page["cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return all,
            }
            assert!(held > 0 && all.len() < 1000, "{page}");
        }
    }
}

fn texts(posts: &[&AtUri]) -> Vec<String> {
    posts.iter().map(ToString::to_string).collect()
}

#[test]
fn the_feed_is_of_posts_that_share_what_is_liked_most() {
    run(async {
        let hall = Hall::new().await;
        let (artist, other) = (did(0), did(1));
        let fans: Vec<Did> = (2..12).map(did).collect();
        let [sharer, second_sharer, third_sharer] = [20, 21, 22].map(did);
        let best = hall.track(&other, "best", &[]).await;
        let good = hall.track(&artist, "good", &[]).await;
        let fair = hall.track(&artist, "fair", &[]).await;
        let unliked = hall.track(&artist, "unliked", &[]).await;
        // The posts of what is liked least come first, and so do those that nobody likes.
        hall.share(&sharer, &[&unliked]).await;
        let of_fair = hall.share(&sharer, &[&fair]).await;
        let unliked_post = hall.share(&sharer, &[&good]).await;
        let liked_post = hall.share(&second_sharer, &[&good]).await;
        let most_liked_post = hall.share(&third_sharer, &[&good]).await;
        let of_two = hall.share(&second_sharer, &[&fair, &best]).await;
        let likes = |track: &AtUri, count: usize| {
            fans[..count].iter().map(|fan| hall.like(fan, track)).collect::<Vec<_>>()
        };
        hall.say([likes(&best, 9), likes(&good, 6), likes(&fair, 3)].concat()).await;
        // Of people who like the tracks anyway, so that these move no further.
        let posts = [&most_liked_post, &most_liked_post, &liked_post];
        let liked = fans.iter().zip(posts).map(|(fan, post)| hall.like_post(fan, post));
        hall.say(liked.collect()).await;
        let people =
            [&fans[..], &[artist, other.clone(), sharer, second_sharer, third_sharer.clone()]].concat();
        hall.settle_down(&people, |at| format!("https://pds{at}.example"), 30).await;
        hall.count().await;

        // Two posts of a track at most, those that are liked most, and each once: where it stands first.
        let all = texts(&[&of_two, &most_liked_post, &liked_post, &of_fair]);
        for limit in ["1", "3", "100"] {
            assert_eq!(hall.feed(limit).await, all, "by {limit}");
        }
        // Who shares is hidden: the next takes the place.
        hall.hide(&third_sharer, Status::Deactivated).await;
        assert_eq!(hall.feed("2").await, texts(&[&of_two, &liked_post, &unliked_post, &of_fair]));
        hall.hide(&third_sharer, Status::Active).await;
        assert_eq!(hall.feed("2").await, all);
        // Whose track it is is hidden: what is shared beside it remains.
        hall.hide(&other, Status::Deactivated).await;
        let rest = [&most_liked_post, &liked_post];
        let feed = hall.feed("2").await;
        assert_eq!(feed[..2], texts(&rest)[..]);
        let mut of_fair_in_any_order = feed[2..].to_vec();
        of_fair_in_any_order.sort();
        let mut both = texts(&[&of_two, &of_fair]);
        both.sort();
        assert_eq!(of_fair_in_any_order, both);
        let (code, body) =
            hall.plyr.xrpc("app.bsky.feed.getFeedSkeleton", &[("feed", &FEED.replace("top", "flop"))]).await;
        assert_eq!((code, &body["error"]), (400, &json!("UnknownFeed")));
    });
}
