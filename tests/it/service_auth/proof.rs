//! Tokens that tests sign themselves: what is refused, by which name, and how often anybody is asked about it.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{LATEST, PLAY, TOP, get, good, holders, outcome, play, refused};
use crate::truth::stand::Stand;
use crate::world::{Account, Holder, Plyr, network, run};

#[test]
fn every_bad_token_is_refused_by_name() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let own = plyr.did();
        for (holder, other) in {
            let [k256, p256] = holders(net).await;
            let [other_k256, other_p256] = holders(net).await;
            [(k256, other_k256), (p256, other_p256)]
        } {
            let with = |changes: Value| {
                let mut claims = holder.claims(&own, LATEST);
                for (key, value) in changes.as_object().expect("an object") {
                    claims[key] = value.clone();
                }
                claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
                claims
            };
            let now_s = chrono::Utc::now().timestamp();
            let tried = async |token: &str| outcome(get(&plyr, LATEST, token)).await;
            for claims in [
                with(json!({})),
                with(json!({"aud": format!("{own}#plyr_appview")})),
                with(json!({"aud": format!("{own}#bsky_fg")})),
                with(json!({"lxm": null, "jti": null, "iat": null})),
            ] {
                assert_eq!(tried(&holder.sign(&claims)).await, good(), "{claims}");
            }
            for (changes, name) in [
                (json!({"exp": now_s - 30}), "JwtExpired"),
                (json!({"exp": now_s + 7200}), "BadJwt"),
                (json!({"iat": now_s + 600}), "BadJwt"),
                (json!({"exp": null}), "BadJwt"),
                (json!({"aud": "did:web:api.bsky.app"}), "BadJwtAudience"),
                (json!({"aud": format!("{own}#bsky_appview")}), "BadJwtAudience"),
                (json!({"lxm": "fm.plyr.feed.getTracks"}), "BadJwtLexiconMethod"),
                (json!({"iss": format!("{}#bsky_fg", holder.did)}), "BadJwtIss"),
                (json!({"iss": "somebody.test"}), "BadJwtIss"),
                // Nobody has this, and nobody may be had behind that.
                (json!({"iss": "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"}), "BadJwtIss"),
                (json!({"iss": "did:web:10.0.0.1"}), "BadJwtIss"),
                // They are no labeler, and no one else.
                (json!({"iss": format!("{}#atproto_labeler", holder.did)}), "BadJwtIss"),
                (json!({"iss": other.did}), "BadJwtSignature"),
            ] {
                assert_eq!(tried(&holder.sign(&with(changes.clone()))).await, refused(name), "{changes}");
            }
            for (header, name) in [
                (json!({"typ": "at+jwt", "alg": "ES256"}), "BadJwtType"),
                (json!({"typ": "refresh+jwt", "alg": "ES256"}), "BadJwtType"),
                (json!({"typ": "dpop+jwt", "alg": "ES256"}), "BadJwtType"),
                (json!({"typ": "JWT", "alg": "none"}), "BadJwt"),
                (json!({"typ": "JWT", "alg": "HS256"}), "BadJwt"),
            ] {
                assert_eq!(
                    tried(&holder.sign_as(&header, &with(json!({})))).await,
                    refused(name),
                    "{header}"
                );
            }
            // The curve is the key's and not the header's to say.
            for alg in ["ES256", "ES256K"] {
                let token = holder.sign_as(&json!({"alg": alg}), &with(json!({})));
                let fits = matches!(holder.key, sim::wire::Signer::P256(_)) == (alg == "ES256");
                assert_eq!(tried(&token).await, if fits { good() } else { refused("BadJwtSignature") });
            }
            assert_eq!(tried(&holder.sign_high_s(&with(json!({})))).await, refused("BadJwtSignature"));
            let token = holder.sign(&with(json!({})));
            let (signed, signature) = token.rsplit_once('.').expect("three parts");
            for bad in
                [signed.to_owned(), format!("{token}.{signature}"), format!("{token}{}", "A".repeat(8192))]
            {
                assert_eq!(tried(&bad).await, refused("BadJwt"));
            }
            assert_eq!(tried(&format!("{signed}.")).await, refused("BadJwtSignature"));
        }
        // What could be a token of ours and is none stays as good as none; the HTTP API knows tokens of ours only.
        assert_eq!(outcome(get(&plyr, LATEST, &"x".repeat(43))).await, good());
        let holder = Holder::k256(net).await;
        let token = holder.sign(&holder.claims(&own, LATEST));
        let me = plyr
            .http()
            .get(format!("{}/auth/me", plyr.url))
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(me.status(), 401);
    });
}

#[test]
fn a_token_does_one_thing_once() {
    run(async {
        let net = network();
        let mut plyr = Plyr::up(net).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("heard once").await.0;
        plyr.await_counts(&track, Some([0, 0, 0])).await;
        let token = artist.service_token(&plyr.did(), Some(PLAY)).await;
        let again = join_all((0..6).map(|_| outcome(play(&plyr, &track, &token)))).await;
        assert_eq!(again.iter().filter(|outcome| **outcome == good()).count(), 1, "{again:?}");
        assert_eq!(again.iter().filter(|outcome| **outcome == refused("BadJwt")).count(), 5, "{again:?}");
        // Neither in another process nor after a restart.
        let twin = plyr.twin().await;
        assert_eq!(outcome(play(&twin, &track, &token)).await, refused("BadJwt"));
        plyr.kill();
        plyr.start().await;
        assert_eq!(outcome(play(&plyr, &track, &token)).await, refused("BadJwt"));
        // Another one is good; the play is the same play.
        let token = artist.service_token(&plyr.did(), Some(PLAY)).await;
        assert_eq!(outcome(play(&plyr, &track, &token)).await, good());
        assert_eq!(plyr.db.number("select count(*) from play_event").await, 1);

        // What only reads may go on reading, with a method or without.
        for method in [Some(LATEST), None] {
            let token = artist.service_token(&plyr.did(), method).await;
            for _ in 0..2 {
                assert_eq!(outcome(get(&plyr, LATEST, &token)).await, good());
            }
        }
        assert_eq!(plyr.db.number("select count(*) from service_token").await, 2);

        // Without a method nothing is done, and nothing shown that is somebody's own.
        let token = artist.service_token(&plyr.did(), None).await;
        assert_eq!(outcome(play(&plyr, &track, &token)).await, refused("BadJwtLexiconMethod"));
        let own = |token: &str| outcome(get(&plyr, TOP, token).query(&[("actor", &artist.did)]));
        assert_eq!(own(&token).await, refused("BadJwtLexiconMethod"));
        let token = artist.service_token(&plyr.did(), Some(TOP)).await;
        assert_eq!(outcome(get(&plyr, TOP, &token)).await, good(), "everybody's");
        assert_eq!(own(&token).await, good());
        assert_eq!(own(&token).await, refused("BadJwt"));
        assert_eq!(outcome(play(&plyr, &track, &token)).await, refused("BadJwtLexiconMethod"));
        // Who has no name for their tokens has used what they said. They are nobody whom a host knows.
        let holder = Holder::p256(net).await;
        let mut claims = holder.claims(&plyr.did(), PLAY);
        claims.as_object_mut().expect("an object").remove("jti");
        assert_eq!(outcome(play(&plyr, &track, &holder.sign(&claims))).await, refused("AuthMissing"));
        // The same words under another signature.
        assert_eq!(outcome(play(&plyr, &track, &holder.sign(&claims))).await, refused("BadJwt"));
    });
}

#[test]
fn a_new_key_is_found_and_nonsense_is_not_looked_into() {
    run(async {
        let net = network();
        let directory = Stand::before(&net.plc).await;
        let plyr = Plyr::up_with(net, &[("PLYR_PLC_URL", &directory.url())]).await;
        let mut holder = Holder::k256(net).await;
        let tried = async |token: String| outcome(get(&plyr, LATEST, &token)).await;
        let token = |holder: &Holder| holder.sign(&holder.claims(&plyr.did(), LATEST));
        let old = token(&holder);
        assert_eq!(tried(old.clone()).await, good());
        assert_eq!(tried(token(&holder)).await, good());
        assert_eq!(directory.asked(&holder.did), 1, "a document is kept");
        holder.rotate().await;
        assert_eq!(tried(token(&holder)).await, good(), "the key is looked up anew");
        assert_eq!(directory.asked(&holder.did), 2);
        assert_eq!(tried(token(&holder)).await, good());
        assert_eq!(directory.asked(&holder.did), 2);
        // What the old key signed is nobody's any more; and however much of that comes, hardly anybody is asked.
        for _ in 0..30 {
            assert_eq!(tried(old.clone()).await, refused("BadJwtSignature"));
        }
        assert!(directory.asked(&holder.did) <= 4, "{} times", directory.asked(&holder.did));

        // Who cannot be looked up now is not refused for good.
        directory.says("/did:plc:", 500, json!({}));
        let other = Holder::p256(net).await;
        assert_eq!(tried(token(&other)).await, (503, "NotEnoughResources".to_owned()));
        assert_eq!(tried(token(&holder)).await, good(), "who is known needs no looking up");
        directory.clear();
        crate::world::eventually("them to be known", || async {
            crate::world::same(tried(token(&other)).await, good())
        })
        .await;
        // Of nobody there is nothing to look up twice.
        let mut claims = holder.claims(&plyr.did(), LATEST);
        claims["iss"] = json!("did:plc:bbbbbbbbbbbbbbbbbbbbbbbb");
        for _ in 0..5 {
            assert_eq!(tried(holder.sign(&claims)).await, refused("BadJwtIss"));
        }
        assert_eq!(directory.asked("did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"), 1);
    });
}
