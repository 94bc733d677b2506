//! Labels: what an author says of their own record. They are shown and hide nothing: what is done about them is the
//! reader's to decide.

use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The form of labels that stand in the record itself.
pub(crate) const SELF_LABELS: &str = "com.atproto.label.defs#selfLabels";
/// As many are shown, and none whose value is longer: the lexicon's bounds, held here too.
const LABELS_MAX: usize = 10;
const VALUE_MAX_BYTES: usize = 128;

/// `com.atproto.label.defs#label`, unsigned: the record that it stands in is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Who says so: the record's author.
    pub src: Did,
    /// Of which record.
    pub uri: AtUri,
    /// Of which version.
    pub cid: String,
    /// What they say.
    pub val: String,
    /// Since when, by the record.
    pub cts: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Labelled {
    labels: Option<Value>,
}

/// What the record at `uri` says of itself. Labels of another form say nothing here.
pub(crate) fn own(uri: &AtUri, cid: &str, created_at: DateTime<Utc>, record: &RawValue) -> Vec<Label> {
    // Hardly any has some, and to read them is to read all of it.
    if !record.get().contains(SELF_LABELS) {
        return Vec::new();
    }
    let labels = serde_json::from_str::<Labelled>(record.get()).ok().and_then(|record| record.labels);
    let labels = labels.filter(|labels| labels["$type"] == SELF_LABELS);
    let values = labels.as_ref().and_then(|labels| labels["values"].as_array()).into_iter().flatten();
    let values = values.filter_map(|label| label["val"].as_str());
    let fitting = values.filter(|val| !val.is_empty() && val.len() <= VALUE_MAX_BYTES).take(LABELS_MAX);
    let label = |val: &str| Label {
        src: uri.did(),
        uri: uri.clone(),
        cid: cid.to_owned(),
        val: val.to_owned(),
        cts: created_at,
    };
    fitting.map(label).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(record: &Value) -> Vec<String> {
        let uri = "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/fm.plyr.track/3jzfcijpj2z2a".parse().expect("a URI");
        let record = serde_json::value::to_raw_value(record).expect("JSON");
        own(&uri, "bafy", DateTime::UNIX_EPOCH, &record).into_iter().map(|label| label.val).collect()
    }

    #[test]
    fn what_an_author_says_is_read_and_nothing_else() {
        let said = |values: Value| json!({"title": "x", "labels": {"$type": SELF_LABELS, "values": values}});
        assert_eq!(
            values(&said(json!([{"val": "sexual"}, {"val": "!takedown", "x": 1}]))),
            ["sexual", "!takedown"]
        );
        let long = "ü".repeat(64);
        let odd = json!([{"val": long}, {"val": format!("{long}x")}, {"val": ""}, {"val": 1}, {}, 1, null]);
        assert_eq!(values(&said(odd)), [long]);
        assert_eq!(values(&said(vec![json!({"val": "a"}); 11].into())).len(), 10);
        for nothing in [
            json!({"title": "x"}),
            json!({"labels": null}),
            json!({"labels": "sexual"}),
            json!({"labels": {"values": [{"val": "sexual"}]}}),
            json!({"labels": {"$type": "com.example.labels", "values": [{"val": "sexual"}]}}),
            said(json!("sexual")),
            json!([]),
        ] {
            assert_eq!(values(&nothing), Vec::<String>::new(), "{nothing}");
        }
    }
}
