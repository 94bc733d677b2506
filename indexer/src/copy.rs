//! Rows on their way into a table, by COPY in its binary form: Postgres takes them in a page at a time, and neither plans
//! nor unnests anything. <https://www.postgresql.org/docs/current/sql-copy.html>

use sqlx::encode::{Encode, IsNull};
use sqlx::postgres::PgArgumentBuffer;
use sqlx::{PgConnection, Postgres, Type};

/// A table, and the columns of it that are given; all others take their defaults.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What begins the copying.
    pub statement: &'static str,
    /// How many columns it names.
    pub columns: i16,
}

/// `into!(table: a, b, c)` is the [`Target`] of these columns.
macro_rules! into {
    ($table:ident: $first:ident $(, $more:ident)*) => {
        $crate::copy::Target {
            statement: concat!(
                "copy ", stringify!($table), " (", stringify!($first), $(", ", stringify!($more),)*
                ") from stdin (format binary)"
            ),
            columns: [stringify!($first) $(, stringify!($more))*].len() as i16,
        }
    };
}
pub(crate) use into;

/// Every table that is copied into.
pub const TARGETS: [Target; 19] = [
    crate::apply::RECORDS,
    crate::record::TRACKS,
    crate::record::TRACK_TAGS,
    crate::link::LINKS,
    crate::record::REACTIONS,
    crate::record::SHARED_POSTS,
    crate::record::COMMENTS,
    crate::record::LISTS,
    crate::record::LIST_ITEMS,
    crate::record::PROFILES,
    crate::record::PLAYS,
    crate::record::STATUSES,
    crate::record::BSKY_PROFILES,
    crate::record::TEAL_PROFILES,
    crate::record::FOLLOWS,
    crate::chart::due::DUES,
    crate::search::due::DUES,
    crate::search::STARTS,
    crate::search::SLIPS,
];

/// Signature, flags, and the length of no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of another row's number of fields.
const END: [u8; 2] = (-1i16).to_be_bytes();
/// In place of a field's length.
const NULL: [u8; 4] = (-1i32).to_be_bytes();

/// Rows of one table.
#[derive(Debug)]
pub struct Rows {
    target: Target,
    bytes: PgArgumentBuffer,
    count: u64,
    /// Of the last row.
    fields: i16,
    unfit: Option<sqlx::error::BoxDynError>,
}

impl Rows {
    /// None yet.
    pub fn into(target: Target) -> Self {
        let mut bytes = PgArgumentBuffer::default();
        bytes.extend_from_slice(HEADER);
        Rows { target, bytes, count: 0, fields: target.columns, unfit: None }
    }

    /// Begins a row: its fields follow, one for each column and in their order.
    pub fn row(&mut self) -> &mut Self {
        debug_assert_eq!(self.fields, self.target.columns, "{}", self.target.statement);
        (self.count, self.fields) = (self.count + 1, 0);
        self.bytes.extend_from_slice(&self.target.columns.to_be_bytes());
        self
    }

    /// Adds a field.
    pub fn field<'q, T: Encode<'q, Postgres> + Type<Postgres>>(&mut self, value: T) -> &mut Self {
        self.fields += 1;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&NULL);
        let encoded = value.encode(&mut self.bytes).and_then(|null| match null {
            IsNull::Yes => Ok(None),
            IsNull::No => Ok(Some(i32::try_from(self.bytes.len() - start - NULL.len())?)),
        });
        match encoded {
            Ok(None) => {}
            Ok(Some(length)) => {
                self.bytes[start..start + NULL.len()].copy_from_slice(&length.to_be_bytes());
            }
            Err(error) => drop(self.unfit.get_or_insert(error)),
        }
        self
    }

    /// Writes them. Fails as an insertion would: nothing of a refused transaction stays. Dropped in the middle, it leaves its
    /// connection out of step: see [`pool::options`](crate::pool::options).
    pub async fn write(mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        if let Some(error) = self.unfit {
            return Err(sqlx::Error::Encode(error));
        }
        if self.count == 0 {
            return Ok(());
        }
        debug_assert_eq!(self.fields, self.target.columns, "{}", self.target.statement);
        self.bytes.extend_from_slice(&END);
        let mut copy = db.copy_in_raw(self.target.statement).await?;
        copy.send(self.bytes.as_slice()).await?;
        copy.finish().await?;
        Ok(())
    }
}
