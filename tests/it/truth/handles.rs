//! Handles hold both ways or not at all.

use serde_json::json;

use super::{Stand, Voice, document};
use crate::world::network::Network;
use crate::world::{Account, Plyr, eventually, run, same};

struct World {
    plyr: Plyr,
    voice: Voice,
    directory: Stand,
    resolver: Stand,
    net: Network,
}

impl World {
    async fn start() -> World {
        let net = Network::start(&[]);
        let voice = Voice::start().await;
        let (directory, resolver) = (Stand::before(&net.plc).await, Stand::before(&net.direct).await);
        let settings = [
            ("PLYR_UPSTREAMS", voice.beside(&net.upstream())),
            ("PLYR_PLC_URL", directory.url()),
            ("PLYR_HANDLE_RESOLVER_URL", resolver.url()),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let plyr = Plyr::up_with(&net, &settings).await;
        World { plyr, voice, directory, resolver, net }
    }

    async fn person(&self, name: &str) -> Account {
        let person = Account::create(&self.net, name).await;
        person
            .create_record(
                "fm.plyr.actor.profile",
                json!({
                    "$type": "fm.plyr.actor.profile", "bio": name, "createdAt": crate::world::pds::now(),
                }),
            )
            .await;
        self.expect(&person, &person.handle).await;
        person
    }

    /// From now on the document of a person claims this handle.
    async fn claims(&self, person: &Account, handle: &str) {
        let mut claimed = document(&self.net.plc, &person.did).await;
        claimed["alsoKnownAs"] = json!([format!("at://{handle}")]);
        self.directory.says(&person.did, 200, claimed);
    }

    fn resolves(&self, handle: &str, person: &Account) {
        self.resolver.says(&format!("handle={handle}"), 200, json!({"did": person.did}));
    }

    async fn expect(&self, person: &Account, handle: &str) {
        eventually(&format!("{} to be {handle}", person.did), || async {
            let (_, profile) = self.plyr.xrpc("fm.plyr.actor.getProfile", &[("actor", &person.did)]).await;
            same(profile["handle"].as_str(), Some(handle))
        })
        .await;
    }

    /// Somebody says that these people changed, one after the other; waits until they were looked at.
    async fn look_at(&self, people: &[&Account]) {
        for person in people {
            let before = self.directory.asked(&person.did);
            self.voice.identity(&person.did);
            eventually("a look", || async { same(self.directory.asked(&person.did) > before, true) }).await;
        }
    }
}

#[test]
fn a_claim_alone_is_nothing_and_an_exchange_is_whole() {
    run(async {
        let world = World::start().await;
        let (alice, bob) = (world.person("alice").await, world.person("bob").await);
        let (a, b) = (alice.handle.as_str(), bob.handle.as_str());
        // Bob's document says that he is Alice; her handle does not lead to him.
        world.claims(&bob, a).await;
        world.look_at(&[&bob]).await;
        world.expect(&bob, "handle.invalid").await;
        world.expect(&alice, a).await;
        // Hers leads to him, whose document does not claim it any more; and it leads to her no longer.
        world.claims(&bob, b).await;
        world.resolves(a, &bob);
        world.look_at(&[&bob, &alice]).await;
        world.expect(&bob, b).await;
        world.expect(&alice, "handle.invalid").await;
        world.resolves(a, &alice);
        world.look_at(&[&alice]).await;
        world.expect(&alice, a).await;

        // They exchange their handles: told of one first, then of the other, then of both at once.
        for round in 0..4 {
            let (hers, his) = if round % 2 == 0 { (b, a) } else { (a, b) };
            world.claims(&alice, hers).await;
            world.claims(&bob, his).await;
            world.resolves(hers, &alice);
            world.resolves(his, &bob);
            match round {
                0 => world.look_at(&[&alice, &bob]).await,
                1 => world.look_at(&[&bob, &alice]).await,
                _ => {
                    world.voice.identity(&alice.did);
                    world.voice.identity(&bob.did);
                }
            }
            world.expect(&alice, hers).await;
            world.expect(&bob, his).await;
        }
        let log = world.plyr.read_log();
        assert!(!log.contains("deadlock"), "{log}");
    });
}

#[test]
fn a_resolver_that_is_away_takes_nobody_s_name_for_a_while() {
    run(async {
        let world = World::start().await;
        let alice = world.person("alice").await;
        world.resolver.says("resolveHandle", 502, json!({}));
        world.look_at(&[&alice]).await;
        eventually("the resolver to be asked twice", || async {
            same(world.resolver.asked("resolveHandle") >= 2, true)
        })
        .await;
        world.expect(&alice, &alice.handle).await;
        // So does a directory that is away, and one that talks nonsense.
        for (status, body) in [(503, json!({})), (200, json!("<html>"))] {
            world.directory.says(&alice.did, status, body);
            world.look_at(&[&alice]).await;
            world.expect(&alice, &alice.handle).await;
        }
        world.directory.clear();
        world.plyr.db.run("update actor set handle_at = now() - interval '8 days'").await;
        world.look_at(&[&alice]).await;
        world.expect(&alice, "handle.invalid").await;
        world.resolver.clear();
        world.look_at(&[&alice]).await;
        world.expect(&alice, &alice.handle).await;
    });
}
