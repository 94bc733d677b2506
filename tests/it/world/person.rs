//! Somebody who is signed in on a plyr and asks it for things, by cookie or by bearer.

use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};

use super::agent::{Agent, Answer, parameter};
use super::consent::{self, Wish};
use super::{Account, Plyr};

/// A person at a client.
pub struct Person {
    pub account: Account,
    pub agent: Agent,
    /// The plyr they talk to.
    pub plyr: String,
    /// The page they are on.
    pub origin: String,
    bearer: Option<String>,
}

impl Person {
    /// Somebody with a browser, signed in or not.
    pub fn new(agent: Agent, plyr: &str, account: &Account) -> Person {
        let (plyr, origin) = (plyr.to_owned(), plyr.to_owned());
        Person { account: account.clone(), agent, plyr, origin, bearer: None }
    }

    /// Signed in by handle, with a cookie.
    pub async fn sign_in(plyr: &Plyr, account: &Account) -> Person {
        let (person, landed) = Person::sign_in_at(Agent::new(), &plyr.url, account, Wish::Grant).await;
        assert_eq!(parameter(&landed, "auth_error"), None, "{landed}");
        person.expect_cookie();
        person
    }

    /// Many at once.
    pub async fn sign_in_all(plyr: &Plyr, accounts: &[Account]) -> Vec<Person> {
        futures_util::future::join_all(accounts.iter().map(|account| Person::sign_in(plyr, account))).await
    }

    /// Tries to sign in, as they wish, and tells where they landed.
    pub async fn sign_in_at(agent: Agent, plyr: &str, account: &Account, wish: Wish<'_>) -> (Person, Url) {
        let started = consent::start(&agent, plyr, &account.handle, Some("/")).await;
        let redirect = consent::decide(&agent, &started.location(), account, wish).await;
        let landed = consent::come_back(&agent, &redirect).await.location();
        (Person::new(agent, plyr, account), landed)
    }

    /// Signed in for a web app of another origin (one that plyr trusts), with a bearer.
    pub async fn with_bearer(plyr: &Plyr, account: &Account, origin: &str) -> Person {
        let agent = Agent::new();
        let token = Person::exchange_token(&agent, plyr, account, origin).await;
        let answer = Person::exchange(&agent, &plyr.url, origin, &token).await.good();
        let bearer = answer["session_id"].as_str().unwrap_or_else(|| panic!("no session: {answer}"));
        // As a program has none.
        agent.forget_cookies();
        Person { bearer: Some(bearer.to_owned()), ..Person::new(agent, &plyr.url, account) }
    }

    /// The token in the URL that a foreign web app is called back with.
    pub async fn exchange_token(agent: &Agent, plyr: &Plyr, account: &Account, origin: &str) -> String {
        let return_to = format!("{origin}/portal");
        let started = consent::start(agent, &plyr.url, &account.handle, Some(&return_to)).await;
        let redirect = consent::decide(agent, &started.location(), account, Wish::Grant).await;
        let landed = consent::come_back(agent, &redirect).await.location();
        assert!(landed.as_str().starts_with(&return_to), "{landed}");
        parameter(&landed, "exchange_token").unwrap_or_else(|| panic!("no exchange token: {landed}"))
    }

    /// What a web app does with its token.
    pub async fn exchange(agent: &Agent, plyr: &str, origin: &str, token: &str) -> Answer {
        let request = agent.http.post(format!("{plyr}/auth/exchange")).header("origin", origin);
        agent.send(request.json(&json!({"exchange_token": token}))).await
    }

    fn host(&self) -> String {
        Url::parse(&self.plyr).expect("a URL").host_str().expect("a host").to_owned()
    }

    /// What they are known by: the cookie's value or the bearer.
    pub fn session(&self) -> Option<String> {
        self.bearer.clone().or_else(|| self.agent.cookie(&self.host(), "session_id"))
    }

    fn expect_cookie(&self) {
        assert!(self.session().is_some(), "{} has no session cookie", self.account.handle);
    }

    /// The same person at another plyr over the same database.
    pub fn at(&self, plyr: &Plyr) -> Person {
        let agent = Agent::new();
        let person = Person {
            agent,
            plyr: plyr.url.clone(),
            origin: plyr.public_url.clone(),
            bearer: self.bearer.clone(),
            account: self.account.clone(),
        };
        if let (None, Some(session)) = (&self.bearer, self.session()) {
            person.agent.set_cookie(&person.host(), "session_id", &session);
        }
        person
    }

    /// A request with their credential and, where it is a cookie, the origin of our page.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.agent.http.request(method, format!("{}{path}", self.plyr));
        match &self.bearer {
            Some(bearer) => request.bearer_auth(bearer),
            None => request.header("origin", &self.origin),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.agent.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        self.agent.send(self.request(Method::POST, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.agent.send(self.request(Method::DELETE, path)).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.agent.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch_json(&self, path: &str, body: &Value) -> Answer {
        self.agent.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// A query as them.
    pub async fn query(&self, method: &str, query: &[(&str, &str)]) -> Value {
        let request = self.request(Method::GET, &format!("/xrpc/{method}")).query(query);
        self.agent.send(request).await.good()
    }
}
