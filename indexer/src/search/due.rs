//! `search_due`: what may be called otherwise than before.

use std::collections::BTreeSet;

use sqlx::{PgConnection, PgPool};

use crate::copy::{self, Rows, Target};

/// One thing to look at anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A track.
    Track(String),
    /// A person.
    Artist(String),
    /// An album, by its UUID.
    Album(String),
    /// A list: a playlist, an album, or none of both.
    List(String),
    /// A tag.
    Tag(String),
    /// The album of somebody's whose name makes this.
    Called(String, String),
    /// Everything that somebody made, which is found by their name, too.
    Works(String),
}

/// The columns of `search_due`.
pub const DUES: Target = copy::into!(search_due: kind, key);

/// Of [`Due::Called`]; the others but one have the numbers of their [`Kind`](super::Kind).
const CALLED: i16 = 6;
/// Of [`Due::Works`].
const WORKS: i16 = 7;

impl Due {
    fn row(&self) -> (i16, String) {
        match self {
            Due::Track(key) => (1, key.clone()),
            Due::Artist(key) => (2, key.clone()),
            Due::Album(key) => (3, key.clone()),
            Due::List(key) => (4, key.clone()),
            Due::Tag(key) => (5, key.clone()),
            Due::Called(did, base) => (CALLED, format!("{did} {base}")),
            Due::Works(did) => (WORKS, did.clone()),
        }
    }

    fn of_row(kind: i16, key: String) -> Option<Self> {
        Some(match kind {
            1 => Due::Track(key),
            2 => Due::Artist(key),
            3 => Due::Album(key),
            4 => Due::List(key),
            5 => Due::Tag(key),
            CALLED => key.split_once(' ').map(|(did, base)| Due::Called(did.to_owned(), base.to_owned()))?,
            WORKS => Due::Works(key),
            _ => return None,
        })
    }
}

/// Notes them, in the transaction that makes them so.
pub(crate) async fn write(db: &mut PgConnection, dues: &BTreeSet<Due>) -> sqlx::Result<()> {
    let mut rows = Rows::into(DUES);
    for due in dues {
        let (kind, key) = due.row();
        rows.row().field(kind).field(key);
    }
    rows.write(db).await
}

/// Takes up to `limit` of them: each once, however often it was noted.
pub(super) async fn take(db: &mut PgConnection, limit: i64) -> sqlx::Result<(BTreeSet<Due>, usize)> {
    let rows = sqlx::query!(
        "delete from search_due where ctid = any(array(select ctid from search_due limit $1)) returning kind, key",
        limit
    )
    .fetch_all(db)
    .await?;
    let taken = rows.len();
    Ok((rows.into_iter().filter_map(|row| Due::of_row(row.kind, row.key)).collect(), taken))
}

/// Has everything that these people made looked at anew.
pub(super) async fn spread(db: &mut PgConnection, dids: &[&str]) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into search_due (kind, key)
         select 1, uri from track where did = any($1)
         union all
         select 3, id::text from album where did = any($1)
         union all
         select 4, uri from list where did = any($1) and list_type = 'playlist'",
        dids as &[&str]
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Everything that there is, and that can be found.
pub(super) async fn everything(db: &mut PgConnection) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"select 1::smallint as "kind!", uri as "key!" from track
           union select 2::smallint, did from track
           union select 2::smallint, did from profile
           union select 3::smallint, id::text from album
           union select 4::smallint, uri from list where list_type = 'playlist'
           union select 5::smallint, tag from tag_count where tracks > 0
           union select kind, key from search_entry"#
    );
    Ok(rows.fetch_all(db).await?.into_iter().filter_map(|row| Due::of_row(row.kind, row.key)).collect())
}

/// Has everything looked at anew, as after a rebuild. What is called as it was stays as it is.
pub async fn all(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into search_due (kind, key)
         select 1, uri from track
         union select 2, did from track
         union select 2, did from profile
         union select 3, id::text from album
         union select 4, uri from list where list_type = 'playlist'
         union select 5, tag from tag_count where tracks > 0
         union select kind, key from search_entry"
    )
    .execute(pool)
    .await?;
    Ok(())
}
