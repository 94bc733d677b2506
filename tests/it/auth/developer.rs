//! Tokens for programs: made by signing in once more, listed by a prefix, revoked one by one.

use serde_json::{Value, json};

use super::APP;
use crate::world::agent::{Agent, parameter};
use crate::world::consent::{self, Wish};
use crate::world::{Account, Person, Plyr, network, run};

/// Asks for a token as `person`, and consents as `by`. Where the browser lands.
async fn make(person: &Person, by: &Account, wish: &Value) -> reqwest::Url {
    let started = person.post_json("/auth/developer-token/start", wish).await.good();
    let url = started["auth_url"].as_str().unwrap_or_else(|| panic!("no url: {started}"));
    let redirect = consent::decide(&person.agent, &url.parse().expect("a URL"), by, Wish::Grant).await;
    consent::come_back(&person.agent, &redirect).await.location()
}

#[test]
fn a_program_has_a_token_of_its_own() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let (account, other) = (Account::create(net, "coder").await, Account::create(net, "other").await);
        let person = Person::sign_in(&plyr, &account).await;
        let cookie = person.session();
        let landed = make(&person, &account, &json!({"name": "a script", "expires_in_days": 30})).await;
        assert_eq!(parameter(&landed, "dev_token").as_deref(), Some("true"), "{landed}");
        let token = parameter(&landed, "exchange_token").unwrap_or_else(|| panic!("no token: {landed}"));
        let exchanged = Person::exchange(&person.agent, &plyr.url, &person.origin, &token).await;
        assert_eq!(exchanged.set_cookie("session_id"), None, "a program's token is no cookie");
        assert_eq!(person.session(), cookie);
        let bearer = exchanged.good()["session_id"].as_str().expect("a session").to_owned();
        let agent = Agent::new();
        let me = || agent.send(agent.http.get(format!("{}/auth/me", plyr.url)).bearer_auth(&bearer));
        assert_eq!(me().await.good()["did"], account.did);

        let listed = person.get("/auth/developer-tokens").await.good();
        let tokens = listed["tokens"].as_array().expect("tokens");
        assert_eq!((tokens.len(), &tokens[0]["name"]), (1, &json!("a script")), "{listed}");
        let prefix = tokens[0]["session_id"].as_str().expect("a prefix");
        assert_eq!(prefix.len(), 8);
        assert!(!bearer.contains(prefix), "nothing of the token itself");
        // It is nobody else's to revoke.
        let stranger = Person::sign_in(&plyr, &other).await;
        assert_eq!(stranger.delete(&format!("/auth/developer-tokens/{prefix}")).await.status, 404);
        assert_eq!(stranger.get("/auth/developer-tokens").await.good()["tokens"], json!([]));
        me().await.good();
        let revoked = person.delete(&format!("/auth/developer-tokens/{prefix}")).await;
        assert_eq!(revoked.good(), json!({"message": "token revoked successfully"}));
        assert_eq!(me().await.status, 401);
        assert_eq!(person.delete(&format!("/auth/developer-tokens/{prefix}")).await.status, 404);
        person.get("/auth/me").await.good();
        assert_eq!(account.grants(net).await.len(), 1);
    });
}

#[test]
fn a_token_is_for_who_asked() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (account, other) = (Account::create(net, "coder").await, Account::create(net, "other").await);
        let person = Person::sign_in(&plyr, &account).await;
        let landed = make(&person, &other, &json!({"name": "mine?"})).await;
        assert_eq!(parameter(&landed, "auth_error").as_deref(), Some("account_mismatch"), "{landed}");
        assert_eq!(other.grants(net).await.len(), 0, "what was granted is given back");
        assert_eq!(
            person.post_json("/auth/developer-token/start", &json!({"expires_in_days": 366})).await.status,
            400
        );
        let nobody = Person::new(Agent::new(), &plyr.url, &account);
        assert_eq!(nobody.post_json("/auth/developer-token/start", &json!({})).await.status, 401);
        assert_eq!(nobody.get("/auth/developer-tokens").await.status, 401);
    });
}
