//! One simulated world that is the same in every run: what each method answers in it, and every way through its lists.

mod pages;
mod questions;
mod snapshots;

use std::time::Duration;

use serde_json::Value;
use sim::oracle::{Expected, differences};

use crate::sim::found;
use crate::sim::scene::{Scene, Trouble, Upstream};
use crate::world::postgres::Database;
use crate::world::{Plyr, eventually, holder};

const PUBLIC_URL: &str = "https://plyr.example";
const SCENE: Scene = Scene { seed: 19, upstream: Upstream::Relay, trouble: Trouble::None };
const STEPS: usize = 1_500;

/// The world, and a plyr that has heard all of it.
struct World {
    net: sim::Network,
    plyr: Plyr,
    picked: Picked,
}

/// Whom and what is asked about: of each the one with most.
struct Picked {
    artist: String,
    handle: String,
    fan: String,
    listener: String,
    owner: String,
    /// A track that is liked, one that is spoken of, one that is shared.
    liked: String,
    commented: String,
    list: String,
    tag: String,
    /// Whose, and what addresses call it.
    album: String,
    play: String,
}

impl World {
    async fn settled() -> World {
        let options = sim::Options {
            seed: SCENE.seed,
            accounts: 24,
            // What these are called depends on ports.
            web_accounts: 0,
            hosts: 2,
            // Most of what they speak of shall still be there in the end.
            life: 0.01,
            public_url: PUBLIC_URL.to_owned(),
            ..sim::Options::default()
        };
        let net = sim::Network::start(options).await.expect("a world");
        net.advance(STEPS).await;
        net.settle().await;
        let mut settings = net.env();
        settings.push(("PLYR_PUBLIC_URL", PUBLIC_URL.to_owned()));
        settings.push(("PLYR_SECRET_KEY", "11".repeat(32)));
        settings.push(("PLYR_RATE_READ", "1000000/minute".to_owned()));
        let mut plyr = Plyr::stopped(Database::create().await, &settings);
        plyr.start().await;
        agree(&net, &plyr).await;
        // How much something is liked is as old as the last look at it.
        indexer::search::rerank(&plyr.db.pool).await.expect("ranks");
        let picked = Picked::from(&plyr).await;
        World { net, plyr, picked }
    }

    /// What their PDS would sign for the fan.
    fn fans_token(&self, method: &str) -> String {
        let key = self.net.look(|world| world.account(&self.picked.fan).map(|fan| fan.key.clone()));
        holder::token(&self.picked.fan, &key.expect("somebody"), "did:web:plyr.example", method)
    }

    /// Asks as the fan, who is nobody's guest here: their PDS would ask so.
    async fn ask_as_fan(&self, method: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let token = self.fans_token(method);
        let url = format!("{}/xrpc/{method}", self.plyr.url);
        let request = self.plyr.http().get(url).query(query).bearer_auth(token);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Goes on for a while, and waits until something of that has been heard.
    async fn go_on(&self, steps: usize) {
        let heard = async || self.plyr.db.number("select count(*) from record").await;
        let before = heard().await;
        self.net.advance(steps).await;
        let gone_on = tokio::time::timeout(Duration::from_secs(5), async {
            while heard().await == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        // It may be that nothing was added.
        gone_on.await.ok();
    }
}

/// Waits until everything is as the oracle says, charts and search with it.
async fn agree(net: &sim::Network, plyr: &Plyr) {
    let expected = Expected::of(&net.truth(), "fm.plyr", PUBLIC_URL);
    eventually("the truth", || async {
        let (found, known) = found::tables(&plyr.db.pool, &expected, &SCENE).await.expect("tables");
        let wrong = tokio::task::block_in_place(|| differences(&expected.tables(&known), &found));
        let unfound = indexer::search::audit(&plyr.db.pool).await.expect("tables");
        let due = plyr.db.number("select count(*) from chart_due").await;
        match (wrong.first(), unfound.first(), due) {
            (None, None, 0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

impl Picked {
    fn album(&self) -> (&str, &str) {
        self.album.split_once(' ').expect("two words")
    }

    async fn from(plyr: &Plyr) -> Picked {
        let one = async |sql: &'static str| plyr.db.texts(sql).await.pop().expect(sql);
        Picked {
            artist: one("select did from track join actor using (did) where active group by did order by count(*) desc, did limit 1").await,
            handle: one("select handle from track join actor using (did) where active and handle is not null
                         group by did, handle order by count(*) desc, did limit 1").await,
            fan: one("select did from reaction join actor using (did) where active and verb = 'like' and source = 'plyr'
                      group by did order by count(*) desc, did limit 1").await,
            listener: one("select did from play join actor using (did) where active group by did order by count(*) desc, did limit 1").await,
            owner: one("select did from list join actor using (did) where active group by did order by count(*) desc, did limit 1").await,
            liked: one("select uri from track join actor using (did) join subject_count using (uri) where active
                        order by like_count desc, uri limit 1").await,
            commented: one("select uri from track join actor using (did) join subject_count using (uri) where active
                            order by comment_count desc, uri limit 1").await,
            list: one("select list_uri from list_item join list on uri = list_uri join actor using (did)
                       join track on track.uri = subject_uri where active
                       group by list_uri order by count(*) desc, list_uri limit 1").await,
            tag: one("select tag from tag_count order by tracks desc, tag limit 1").await,
            album: one("select a.did || ' ' || a.slug from album a join actor using (did) join list l on l.uri = a.list_uri
                        join list_item i on i.list_uri = l.uri join track t on t.uri = i.subject_uri
                        where active and l.list_type = 'album' group by 1 order by count(*) desc, 1 limit 1").await,
            play: one("select uri from play join actor using (did) where active order by uri limit 1").await,
        }
    }
}
