//! What people do here, seen in their repos: likes and comments, with everything between us and their PDS going wrong.

mod comment;
mod crash;
mod foreign;
mod like;
mod limit;
mod race;

use serde_json::Value;

use crate::world::network::Network;
use crate::world::{Account, Gate, Person, Plyr, eventually, same};

/// A track, somebody who listens to it, and a gate before their PDS.
pub struct Stage {
    pub net: Network,
    pub gate: Gate,
    pub plyr: Plyr,
    pub person: Person,
    /// Its uri and CID.
    pub track: (String, String),
    /// As the HTTP API knows it.
    pub id: i64,
}

pub const NO_LIMIT: (&str, &str) = ("PLYR_RATE_WRITE", "100000/minute");

impl Stage {
    pub async fn set() -> Stage {
        Stage::set_with(&[NO_LIMIT]).await
    }

    pub async fn set_with(settings: &[(&str, &str)]) -> Stage {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = Plyr::up_with(&net, settings).await;
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        let track = artist.create_track("under the hand").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let id = plyr.track_id(&track.0).await;
        let person = Person::sign_in(&plyr, &fan).await;
        Stage { net, gate, plyr, person, track, id }
    }

    pub fn like_path(&self) -> String {
        format!("/tracks/{}/like", self.id)
    }

    pub fn comments_path(&self) -> String {
        format!("/tracks/{}/comments", self.id)
    }

    /// The person's likes as their PDS has them.
    pub async fn likes_there(&self) -> Vec<String> {
        let likes = self.person.account.list_records("fm.plyr.like").await;
        likes.into_iter().map(|(uri, _)| uri).collect()
    }

    /// The person's likes as every view here shows them; fails where two views disagree.
    pub async fn likes_here(&self) -> Result<Vec<String>, String> {
        let (plyr, uri) = (&self.plyr, self.track.0.as_str());
        let did = &self.person.account.did;
        // As somebody: what everybody is told may be a moment old.
        let listed = self.person.query("fm.plyr.feed.getLikes", &[("uri", uri)]).await;
        let listed = listed["likes"].as_array().expect("likes").iter();
        let listed: Vec<_> = listed
            .filter(|like| like["author"]["did"] == did.as_str())
            .map(|like| text(&like["uri"]))
            .collect();
        let tracks = self.person.query("fm.plyr.feed.getTracks", &[("uris", uri)]).await;
        let (track, viewer) = (&tracks["tracks"][0], &tracks["tracks"][0]["viewer"]);
        let seen: Vec<_> = viewer["like"].as_str().map(str::to_owned).into_iter().collect();
        let rows: Vec<String> =
            sqlx::query_scalar("select uri from reaction where subject_uri = $1 and did = $2")
                .bind(uri)
                .bind(did)
                .fetch_all(&plyr.db.pool)
                .await
                .expect("rows");
        let count = track["likeCount"].as_u64().expect("a number") as usize;
        same((&seen, &rows, count), (&listed, &listed, listed.len()))
            .map_err(|why| format!("viewer, rows, likeCount and getLikes disagree: {why}"))?;
        Ok(rows)
    }

    /// Their PDS and every view here have the same, this many; now, or at the end of patience.
    pub async fn await_likes(&self, wanted: usize) -> Vec<String> {
        eventually(&format!("{wanted} likes in both places"), || async {
            let there = self.likes_there().await;
            same(&self.likes_here().await?, &there)?;
            same(there.len(), wanted)?;
            Ok(there)
        })
        .await
    }

    /// Everything that their PDS has said until now has been read and applied.
    pub async fn await_echo(&self) {
        let did = &self.person.account.did;
        eventually("the echo of the last commit", || async {
            let latest = self.person.account.latest_rev().await;
            let rev: Option<String> = sqlx::query_scalar("select rev from repo where did = $1")
                .bind(did)
                .fetch_one(&self.plyr.db.pool)
                .await
                .expect("a row");
            same(rev, Some(latest))
        })
        .await;
    }

    /// No wish is left open.
    pub async fn await_settled(&self) {
        let open = "select count(*) from intent where settled < generation";
        eventually("no open wish", || async { same(self.plyr.db.number(open).await, 0) }).await;
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
