//! The repo that lexicons are published in, by way of its PDS and an app password.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method};
use indexer::identity::Identity;
use indexer::net::{Net, Payload, Request};
use indexer::syntax::Did;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::config::{APP_PASSWORD, Account, Config, Password, Publish};
use crate::run::problems::printable;

/// The collection that lexicons are published in.
pub(super) const SCHEMA: &str = "com.atproto.lexicon.schema";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of one answer: a page holds a hundred records, each smaller than a commit may be.
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// Pages that are read of a repo.
const PAGES_MAX: usize = 100;

/// An account's repo.
pub(super) struct Repo {
    net: Net,
    pub did: Did,
    pub pds: Url,
    session: Option<Session>,
}

/// A lexicon in the repo.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    pub cid: String,
    pub value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    did: String,
    access_jwt: String,
    refresh_jwt: String,
}

#[derive(Deserialize)]
struct Page {
    records: Vec<Listed>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    uri: String,
    #[serde(flatten)]
    stored: Stored,
}

/// What a PDS says instead of doing it.
#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    message: String,
}

impl Repo {
    /// Finds out who the account is and where it lives, as far as the operator does not say so.
    pub async fn find(config: &Config, ask: &Publish) -> anyhow::Result<Repo> {
        let mut options = config.net_options();
        options.operator_urls.extend(ask.pds.clone());
        let net = Net::new(options)?;
        let identity = Identity::new(net.clone(), config.identity_options());
        let did = match (&ask.account, &ask.pds) {
            (Account::Did(did), _) => did.clone(),
            (Account::Handle(handle), Some(pds)) => {
                let mut url = method_url(pds, "com.atproto.identity.resolveHandle")?;
                url.query_pairs_mut().append_pair("handle", handle.as_str());
                let answer: Value = net
                    .get_json(&url, ANSWER_BYTES_MAX)
                    .await
                    .with_context(|| format!("{handle}: {pds} knows no such account"))?;
                let did = answer["did"].as_str().unwrap_or_default();
                did.parse().map_err(|_| anyhow::anyhow!("{handle}: {pds} answered with no DID"))?
            }
            (Account::Handle(handle), None) => identity
                .resolve_handle(handle)
                .await
                .with_context(|| {
                    format!("{handle}: cannot be looked up; --did names the account without that")
                })?
                .with_context(|| format!("{handle}: no account has this handle"))?,
        };
        let pds = match &ask.pds {
            Some(pds) => pds.clone(),
            None => {
                let document = identity.document(&did).await;
                let document = document.with_context(|| format!("{did}: --pds says where it lives"))?;
                document.pds.clone().with_context(|| format!("{did}: its DID document names no PDS"))?
            }
        };
        Ok(Repo { net, did, pds, session: None })
    }

    /// The lexicons in the repo, by their record keys.
    pub async fn lexicons(&self) -> anyhow::Result<BTreeMap<String, Stored>> {
        let (mut found, mut cursor) = (BTreeMap::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let mut url = method_url(&self.pds, "com.atproto.repo.listRecords")?;
            let fixed = [("repo", self.did.as_str()), ("collection", SCHEMA), ("limit", "100")];
            url.query_pairs_mut().extend_pairs(fixed).extend_pairs(cursor.map(|it| ("cursor", it)));
            let page: Page = self
                .net
                .get_json(&url, ANSWER_BYTES_MAX)
                .await
                .with_context(|| format!("{} does not list the lexicons of {}", self.pds, self.did))?;
            let is_last = page.records.is_empty();
            found.extend(page.records.into_iter().map(|Listed { uri, stored }| {
                (uri.rsplit('/').next().unwrap_or_default().to_owned(), stored)
            }));
            cursor = page.cursor.filter(|_| !is_last);
            if cursor.is_none() {
                return Ok(found);
            }
        }
        bail!("{} lists more than {PAGES_MAX} pages of lexicons", self.pds)
    }

    /// Opens a session at the PDS.
    pub async fn sign_in(&mut self, password: &Password) -> anyhow::Result<()> {
        let body = json!({"identifier": self.did.as_str(), "password": password.0});
        let answer = self.post("com.atproto.server.createSession", Some(&body), None).await?;
        let session = match answer {
            Ok(body) => serde_json::from_value::<Session>(body).context("the PDS opened no session")?,
            Err((_, refusal)) if refusal.error == "AuthFactorTokenRequired" => {
                bail!("this account has a second factor: make an app password in its settings and use that")
            }
            Err((401, refusal)) => bail!(
                "the PDS does not take this password ({}): make an app password in the account's settings and give it \
                 in {APP_PASSWORD}",
                printable(&refusal.message)
            ),
            Err(refused) => bail!("no session: {}", said(&refused)),
        };
        anyhow::ensure!(
            session.did == self.did.as_str(),
            "the PDS opened a session of {}",
            printable(&session.did)
        );
        self.session = Some(session);
        Ok(())
    }

    /// Ends the session. It would end by itself, so that this fails is nobody's trouble.
    pub async fn sign_out(&self) {
        if let Some(session) = &self.session {
            self.post("com.atproto.server.deleteSession", None, Some(&session.refresh_jwt)).await.ok();
        }
    }

    /// Writes a lexicon: in the place of the version with this CID, or where there is none.
    pub async fn put(&self, nsid: &str, record: Value, cid: Option<&str>) -> anyhow::Result<()> {
        let body = json!({
            "repo": self.did.as_str(), "collection": SCHEMA, "rkey": nsid, "record": record, "swapRecord": cid,
        });
        self.write("com.atproto.repo.putRecord", nsid, &body).await
    }

    /// Removes the version with this CID.
    pub async fn delete(&self, nsid: &str, cid: &str) -> anyhow::Result<()> {
        let body = json!({"repo": self.did.as_str(), "collection": SCHEMA, "rkey": nsid, "swapRecord": cid});
        self.write("com.atproto.repo.deleteRecord", nsid, &body).await
    }

    async fn write(&self, method: &str, nsid: &str, body: &Value) -> anyhow::Result<()> {
        let token = self.session.as_ref().map(|session| session.access_jwt.as_str());
        match self.post(method, Some(body), token).await? {
            Ok(_) => Ok(()),
            Err((_, refusal)) if refusal.error == "InvalidSwap" => {
                bail!("{nsid}: somebody else changed it just now; run this again")
            }
            Err(refused @ (429, _)) => {
                bail!("{nsid}: {}; what is written stands, so wait and run this again", said(&refused))
            }
            Err(refused) => bail!("{nsid}: {}", said(&refused)),
        }
    }

    /// Calls a procedure of the PDS: its answer, or the status and what it says instead.
    async fn post(
        &self,
        method: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> anyhow::Result<Result<Value, (u16, Refusal)>> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).context("the PDS's token")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let payload = match body {
            Some(body) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Payload::Bytes(Bytes::from(serde_json::to_vec(body)?))
            }
            None => Payload::None,
        };
        let url = &method_url(&self.pds, method)?;
        let request = Request {
            method: Method::POST,
            url,
            headers,
            payload,
            timeout: PATIENCE,
            cap_bytes: ANSWER_BYTES_MAX,
        };
        let answer = self.net.send(request).await.with_context(|| format!("{method} at {}", self.pds))?;
        if answer.status != 200 {
            return Ok(Err((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())));
        }
        // Some have nothing to say.
        Ok(Ok(serde_json::from_slice(&answer.body).unwrap_or_default()))
    }
}

fn method_url(pds: &Url, method: &str) -> anyhow::Result<Url> {
    pds.join(&format!("/xrpc/{method}")).with_context(|| pds.to_string())
}

fn said((status, refusal): &(u16, Refusal)) -> String {
    let Refusal { error, message } = refusal;
    let message: String = message.chars().take(300).collect();
    printable(&format!("the PDS says {status} {error} {message}")).trim_end().to_owned()
}
