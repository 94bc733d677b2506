//! The PDS's own pages for signing in and consenting, used as its scripts use them. These paths are private to the
//! version of the PDS that the test network pins.

use reqwest::{RequestBuilder, Url};
use serde_json::{Value, json};

use super::Account;
use super::agent::{Agent, Answer};
use super::network::Network;

/// What the person says to what the app asks.
#[derive(Clone, Copy, Debug)]
pub enum Wish<'a> {
    Grant,
    /// Less than was asked for.
    GrantOnly(&'a str),
    Reject,
}

/// Goes through the pages. `authorize` is where the app sent the browser; returned is where the PDS sends it back to.
pub async fn decide(agent: &Agent, authorize: &Url, account: &Account, wish: Wish<'_>) -> Url {
    assert_eq!(authorize.path(), "/oauth/authorize", "{authorize}");
    let page = agent.send(navigate(agent.http.get(authorize.clone()), "cross-site")).await;
    assert_eq!(page.status, 200, "the page that asks: {page}");
    let input =
        json!({"locale": "en", "username": account.handle, "password": account.password, "remember": false});
    let sign_in = ask(agent, authorize, "sign-in", None, &input).await;
    let token = sign_in["ephemeralToken"].as_str().unwrap_or_else(|| panic!("no token: {sign_in}"));
    let answer = match wish {
        Wish::Grant => ask(agent, authorize, "consent", Some(token), &json!({"did": account.did})).await,
        Wish::GrantOnly(scope) => {
            let input = json!({"did": account.did, "scope": scope});
            ask(agent, authorize, "consent", Some(token), &input).await
        }
        Wish::Reject => ask(agent, authorize, "reject", None, &json!({})).await,
    };
    let next = answer["url"].as_str().unwrap_or_else(|| panic!("no url: {answer}"));
    let next = Url::parse(next).unwrap_or_else(|error| panic!("{error}: {answer}"));
    let request = agent.http.get(next).header("referer", authorize.as_str());
    agent.send(navigate(request, "same-origin")).await.location()
}

fn navigate(request: RequestBuilder, site: &str) -> RequestBuilder {
    request
        .header("sec-fetch-site", site)
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .header("accept", "text/html")
}

/// A call of the page's own API. The PDS renews its CSRF cookie with every answer.
async fn ask(agent: &Agent, page: &Url, name: &str, token: Option<&str>, input: &Value) -> Value {
    let origin = page.origin().ascii_serialization();
    let request = agent.http.post(format!("{origin}/@atproto/oauth-provider/~api/{name}")).json(input);
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    agent.send(as_its_script(agent, request, page)).await.good()
}

fn as_its_script(agent: &Agent, request: RequestBuilder, page: &Url) -> RequestBuilder {
    let csrf =
        agent.cookie(page.host_str().expect("a host"), "csrf-token").expect("the page sets csrf-token");
    request
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "same-origin")
        .header("origin", page.origin().ascii_serialization())
        .header("referer", page.as_str())
        .header("x-csrf-token", csrf)
}

/// The first step: asks plyr where to sign in. `wanted` is a handle or a DID, `return_to` where to land.
pub async fn start(agent: &Agent, plyr: &str, wanted: &str, return_to: Option<&str>) -> Answer {
    let request = agent.http.get(format!("{plyr}/auth/start")).header("accept", "text/html");
    let query = [("handle", Some(wanted)), ("return_to", return_to)];
    let query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    agent.send(request.query(&query)).await
}

/// The last step: the browser follows the PDS back to plyr.
pub async fn come_back(agent: &Agent, redirect: &Url) -> Answer {
    agent.send(agent.http.get(redirect.clone()).header("accept", "text/html")).await
}

/// The account's own page at its PDS, signed in.
struct Settings {
    agent: Agent,
    page: Url,
}

impl Settings {
    async fn open(network: &Network, account: &Account) -> Settings {
        let (agent, page) = (Agent::new(), Url::parse(&format!("{}/account", network.pds)).expect("a URL"));
        let shown = agent.send(navigate(agent.http.get(page.clone()), "none")).await;
        assert_eq!(shown.status, 200, "{shown}");
        let input = json!({"locale": "en", "username": account.handle, "password": account.password, "remember": true});
        ask(&agent, &page, "sign-in", None, &input).await;
        Settings { agent, page }
    }

    async fn grants(&self, account: &Account) -> Vec<Value> {
        let mut url = self.page.join("/@atproto/oauth-provider/~api/oauth-sessions").expect("a URL");
        url.query_pairs_mut().append_pair("did", &account.did);
        let request = as_its_script(&self.agent, self.agent.http.get(url), &self.page);
        let answer = self.agent.send(request).await.good();
        answer.as_array().unwrap_or_else(|| panic!("no list: {answer}")).clone()
    }
}

impl Account {
    /// The grants that their settings show: one for each app that is signed in as them.
    pub async fn grants(&self, network: &Network) -> Vec<Value> {
        Settings::open(network, self).await.grants(self).await
    }

    /// Takes all grants back, as people do in their settings.
    pub async fn revoke_grants(&self, network: &Network) {
        let settings = Settings::open(network, self).await;
        for grant in settings.grants(self).await {
            let input = json!({"did": self.did, "tokenId": grant["tokenId"]});
            ask(&settings.agent, &settings.page, "revoke-oauth-session", None, &input).await;
        }
    }
}
