//! What a PDS may say to an upload, and what becomes of it then.

use serde_json::{Value, json};

use super::{Form, completed, follow, records, sound};
use crate::world::gate::Act;
use crate::world::{Account, Gate, Person, Plyr, pds, run};

const BLOB: &str = "com.atproto.repo.uploadBlob";
const PUT: &str = "com.atproto.repo.putRecord";

struct Stage {
    gate: Gate,
    plyr: Plyr,
    artist: Person,
}

impl Stage {
    /// Uploads a track, and returns its last message and its record.
    async fn publish(&self, title: &str) -> (Value, Value) {
        let form = Form::new(title, sound::mp3()).file("image", "c", sound::picture("200x200", "png"));
        let last = completed(&self.plyr, &form.accepted(&self.artist).await).await;
        self.gate.clear();
        let record = records(&self.artist.account).await.remove(0);
        assert_eq!((&record["value"]["title"], &record["uri"]), (&json!(title), &last["atproto_uri"]));
        (last, record["value"].clone())
    }
}

#[test]
fn a_pds_in_all_its_moods() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = Plyr::up(&net).await;
        let artist = Person::sign_in(&plyr, &Account::create(&net, "artist").await).await;
        let stage = Stage { gate, plyr, artist };
        forgetful(&stage).await;
        narrow(&stage).await;
        tired(&stage).await;
        strict(&stage).await;
        assert_eq!(records(&stage.artist.account).await.len(), 3);
    });
}

/// It has let go of the blobs before the record came: they are sent once more.
async fn forgetful(stage: &Stage) {
    let gone = json!({"error": "BlobNotFound", "message": "Could not find blob: bafkreiabc"});
    stage.gate.rule(1, &[PUT, "fm.plyr.track"], Act::Answer(400, gone));
    let (last, value) = stage.publish("forgotten").await;
    assert_eq!((stage.gate.count(&[BLOB]), &last["warnings"]), (4, &json!([])));
    assert!(value["audioBlob"].is_object() && value["image"].is_object(), "{value}");
}

/// It never said how much it takes, and says so now.
async fn narrow(stage: &Stage) {
    let refusal = json!({"error": "PayloadTooLarge", "message": "request entity too large"});
    stage.gate.rule(1, &[BLOB], Act::Pass);
    stage.gate.rule(1, &[BLOB], Act::Answer(413, refusal));
    let (last, value) = stage.publish("too wide").await;
    assert_eq!((&last["pds_blob_failed"], &value["audioBlob"]), (&json!(true), &Value::Null));
    assert!(last["warnings"][0].as_str().expect("a warning").contains("kept here"), "{last}");
    let track = stage.plyr.track(last["atproto_uri"].as_str().expect("a uri")).await.expect("it is shown");
    let heard = pds::http().get(track["audio"].as_str().expect("a URL")).send().await.expect("an answer");
    assert!(heard.status().is_success());
}

/// It fails for a while.
async fn tired(stage: &Stage) {
    stage.gate.rule(1, &[BLOB], Act::Answer(502, json!({"error": "UpstreamFailure"})));
    stage.gate.rule(1, &[BLOB], Act::LoseAnswer);
    stage.gate.rule(1, &[PUT, "fm.plyr.track"], Act::LoseAnswer);
    let (last, value) = stage.publish("on the third try").await;
    assert_eq!((&last["warnings"], value["audioBlob"].is_object()), (&json!([]), true));
}

/// It says no, and means it.
async fn strict(stage: &Stage) {
    let refusal = json!({"error": "InvalidRequest", "message": "no music today"});
    stage.gate.rule(1, &[BLOB], Act::Answer(400, refusal));
    let upload_id = Form::new("never", sound::mp3()).accepted(&stage.artist).await;
    let last = follow(&stage.plyr, &upload_id).await.pop().expect("a message");
    assert_eq!(last["status"], "failed");
    assert_eq!(last["error"], "failed to sync track to ATProto: InvalidRequest: no music today");
}
