//! Backlinks by their older paths: what `link/older.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, at_uri, did, integer, list, map, named, object, text};
use crate::link::older;

const TAG: &str = "links";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let record = object(
        "A record that names something.",
        [
            ("did", did("Whose it is.")),
            ("collection", text("The collection it stands in.")),
            ("rkey", text("Its name there.")),
        ],
    );
    let total = object("A number.", [("total", integer("How many there are."))]);
    vec![("LinkingRecord", record), ("Total", total)]
}

fn target(operation: Operation) -> Operation {
    operation
        .asked("target", at_uri("What is named: a record, a DID, or an address."))
        .fails(400, "A parameter is missing or not lawful: `message` names it.")
}

fn place(operation: Operation) -> Operation {
    target(operation)
        .asked("collection", text("The collection of the records that name it.").example("fm.plyr.like"))
        .asked(
            "path",
            text("Where in the record, with a dot before it.").pattern("^\\.").example(".subject.uri"),
        )
}

fn paged(operation: Operation) -> Operation {
    operation
        .query("limit", integer("How many.").default(older::LIMIT).within(1..=older::LIMIT_MAX as i64))
        .query("cursor", text("`cursor` of the page before."))
}

fn cursor() -> Schema {
    text("Where the next page begins.").or_null().optional()
}

/// `GET /links`.
pub(crate) fn records() -> Operation {
    let answer = object(
        "Records of one page.",
        [
            ("total", integer("How many there are in all.")),
            ("linking_records", list(named("LinkingRecord"), "The newest first.")),
            ("cursor", cursor()),
        ],
    );
    paged(place(operation("linkingRecords", TAG, "The records that name something")))
        .query("did", list(did("Whose."), "Only records of these people.").at_most(older::DIDS_MAX))
        .answers(answer)
}

/// `GET /links/distinct-dids`.
pub(crate) fn distinct_dids() -> Operation {
    let answer = object(
        "People of one page.",
        [
            ("total", integer("How many there are in all.")),
            ("linking_dids", list(did("Who."), "In an order that stays.")),
            ("cursor", cursor()),
        ],
    );
    paged(place(operation("linksDistinctDids", TAG, "The people whose records name something")))
        .answers(answer)
}

/// `GET /links/count`.
pub(crate) fn count() -> Operation {
    place(operation("linksCount", TAG, "How many records name something")).answers(named("Total"))
}

/// `GET /links/count/distinct-dids`.
pub(crate) fn count_distinct_dids() -> Operation {
    place(operation("linksCountDistinctDids", TAG, "How many people's records name something"))
        .answers(named("Total"))
}

fn everywhere(of: Schema) -> Schema {
    let by_collection = map(map(of, "By the path in the record."), "By collection, then by path.");
    object("Wherever it is named.", [("links", by_collection)])
}

/// `GET /links/all`.
pub(crate) fn all() -> Operation {
    let numbers = object(
        "Numbers of one place.",
        [("records", integer("How many records.")), ("distinct_dids", integer("Of how many people."))],
    );
    target(operation("linksAll", TAG, "How many records and people, wherever they name something"))
        .answers(everywhere(numbers))
}

/// `GET /links/all/count`.
pub(crate) fn all_count() -> Operation {
    target(operation("linksAllCount", TAG, "How many records, wherever they name something"))
        .answers(everywhere(integer("How many records.")))
}
