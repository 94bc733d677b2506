//! The confidential client, as a public server is one: at a name, behind TLS, proving itself with a key that it publishes.

use serde_json::{Value, json};

use crate::world::agent::{Agent, parameter};
use crate::world::consent::Wish;
use crate::world::tls::Terminator;
use crate::world::{Account, Gate, Person, Plyr, run};

/// A top-level domain that no PDS takes for a local one, and nobody can register.
const HOST: &str = "plyr.internal";

/// Behind TLS at its own name, on a network whose PDS can find it.
struct Public {
    tls: Terminator,
    gate: Gate,
    plyr: Plyr,
    net: crate::world::network::Network,
}

impl Public {
    async fn up() -> Public {
        let tls = Terminator::start(HOST).await;
        let ca = tls.ca_file();
        let settings = [("NODE_EXTRA_CA_CERTS", ca.as_str()), ("LOOPBACK_HOSTS", HOST)];
        let (net, gate) = Gate::network(&settings).await;
        let key = "0123456789abcdef".repeat(4);
        let settings = [("PLYR_PUBLIC_URL", tls.url.as_str()), ("PLYR_SECRET_KEY", &key)];
        let plyr = Plyr::up_with(&net, &settings).await;
        tls.target(&plyr.url);
        Public { tls, gate, plyr, net }
    }

    async fn get(&self, path: &str) -> Value {
        let agent = self.tls.agent();
        agent.send(agent.http.get(format!("{}{path}", self.tls.url))).await.good()
    }
}

#[test]
fn a_public_server_proves_itself_with_its_key() {
    run(async {
        let public = Public::up().await;
        let url = &public.tls.url;
        let metadata = public.get("/oauth-client-metadata.json").await;
        assert_eq!(metadata["client_id"], format!("{url}/oauth-client-metadata.json"));
        assert_eq!(metadata["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(metadata["token_endpoint_auth_signing_alg"], "ES256");
        assert_eq!(metadata["dpop_bound_access_tokens"], true);
        assert_eq!(metadata["redirect_uris"], json!([format!("{url}/auth/callback")]));
        let jwks = match metadata["jwks_uri"].as_str() {
            Some(uri) => public.get(uri.strip_prefix(url.as_str()).expect("our own")).await,
            None => metadata["jwks"].clone(),
        };
        let keys = jwks["keys"].as_array().expect("keys");
        assert!(!keys.is_empty());
        for key in keys {
            assert!(key["x"].is_string() && key["kid"].is_string() && key["d"].is_null(), "{key}");
        }

        let account = Account::create(&public.net, "publicist").await;
        let (person, landed) = Person::sign_in_at(public.tls.agent(), url, &account, Wish::Grant).await;
        assert_eq!((parameter(&landed, "auth_error"), landed.as_str()), (None, format!("{url}/").as_str()));
        let me = person.get("/auth/me").await.good();
        assert_eq!(me["did"], account.did);
        for asked in public.gate.seen(&["POST /oauth/"]) {
            assert!(asked.body.contains("client_assertion="), "{}", asked.line);
        }
        // Its session lives and is renewed.
        let track = account.create_track("in public").await;
        public.plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let path = format!("/tracks/{}/like", public.plyr.track_id(&track.0).await);
        public.plyr.db.run("update session set access_expires_at = now() - interval '1 second'").await;
        person.post(&path).await.good();
        assert_eq!(public.gate.refreshes(), 1);
        assert_eq!(account.list_records("fm.plyr.like").await.len(), 1);
        // Under https the cookie is for https alone, and the origin of plain http is another.
        let session = person.session().expect("a cookie");
        let other = Agent::new();
        other.set_cookie("127.0.0.1", "session_id", &session);
        let request =
            other.http.delete(format!("{}{path}", public.plyr.url)).header("origin", &public.plyr.url);
        assert_eq!(other.send(request).await.status, 403);
        let dump = super::secrets::dump(&public.plyr).await;
        assert!(!super::secrets::private_key().found_in(&dump));
        assert_eq!(person.post("/auth/logout").await.status, 200);
        assert!(public.gate.seen(&["POST /oauth/revoke"]).iter().any(|seen| seen.status == Some(200)));
    });
}

/// A restart keeps the key: grants are bound to it.
#[test]
fn the_client_key_survives_a_restart() {
    run(async {
        let mut public = Public::up().await;
        let before = public.get("/oauth-client-metadata.json").await;
        let account = Account::create(&public.net, "keeper").await;
        let url = public.tls.url.clone();
        let (person, _) = Person::sign_in_at(public.tls.agent(), &url, &account, Wish::Grant).await;
        public.plyr.kill();
        public.plyr.start().await;
        assert_eq!(public.get("/oauth-client-metadata.json").await, before);
        let track = account.create_track("still in public").await;
        public.plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        public.plyr.db.run("update session set access_expires_at = now() - interval '1 second'").await;
        let path = format!("/tracks/{}/like", public.plyr.track_id(&track.0).await);
        person.post(&path).await.good();
        assert_eq!(public.gate.refreshes(), 1);
    });
}

/// The cookie of a public server never travels in the clear.
#[test]
fn cookies_are_secure_under_https() {
    run(async {
        let public = Public::up().await;
        let account = Account::create(&public.net, "secure").await;
        let agent = public.tls.agent();
        let url = &public.tls.url;
        let started = crate::world::consent::start(&agent, url, &account.handle, None).await;
        let decided = crate::world::consent::decide(&agent, &started.location(), &account, Wish::Grant).await;
        let back = crate::world::consent::come_back(&agent, &decided).await;
        for answer in [&started, &back] {
            for line in answer.headers.get_all("set-cookie") {
                let line = line.to_str().expect("ASCII");
                assert!(line.contains("; Secure"), "{line}");
            }
        }
        assert!(back.set_cookie("session_id").is_some(), "{back}");
    });
}
