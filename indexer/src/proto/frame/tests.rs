use proptest::prelude::*;

use super::*;
use crate::proto::testing::{Edit, Event, Repo, Signer, Value, cid, message};
use crate::syntax::Tid;

const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
const TIME: &str = "2026-01-02T03:04:05.678Z";

fn did() -> Did {
    DID.parse().expect("a DID")
}

fn event() -> Event {
    let mut repo = Repo::new(DID, Signer::k256(1));
    let put = |key: &str, text: &str| Edit::Put(format!("fm.plyr.like/{key}"), Value::text(text));
    repo.apply(&[put("a", "1"), put("b", "1")]);
    repo.apply(&[put("a", "2"), Edit::Delete("fm.plyr.like/b".into()), put("c", "3")])
}

/// The body with one field set to another value, or left out.
fn body_with(name: &'static str, value: Option<Value>) -> Value {
    let mut body = event().body(7);
    body.retain(|(key, _)| *key != name);
    body.extend(value.map(|value| (name, value)));
    Value::Map(body)
}

fn problem(message: &Bytes) -> FrameProblem {
    Frame::decode(message).expect_err("unreadable").problem
}

#[test]
fn a_commit_is_read_in_full() {
    let event = event();
    let message = event.message(7);
    let frame = Frame::decode(&message).expect("reads");
    assert_eq!((frame.seq(), frame.did()), (Some(7), Some(&did())));
    let Frame::Commit(commit) = frame else { panic!("{frame:?}") };
    assert_eq!((commit.seq, &commit.repo, commit.commit), (7, &event.did, event.commit));
    assert_eq!((&commit.rev, &commit.since), (&event.rev, &event.since));
    assert!(commit.since.is_some() && commit.prev_data.is_some());
    assert_eq!(commit.prev_data, event.prev_data);
    assert_eq!(commit.time.map(|time| time.timestamp_millis()), Some(1_767_323_045_678));
    let ops = commit.ops.iter().map(|op| (op.action, op.path.as_str(), op.cid.is_some(), op.prev.is_some()));
    assert_eq!(
        ops.collect::<Vec<_>>(),
        [
            (Action::Update, "fm.plyr.like/a", true, true),
            (Action::Delete, "fm.plyr.like/b", false, true),
            (Action::Create, "fm.plyr.like/c", true, false),
        ]
    );
    let blocks = message.as_ptr_range();
    assert!(blocks.contains(&commit.blocks.as_ptr()), "shared, not copied");
}

#[test]
fn the_other_kinds_are_read() {
    let common = || vec![("seq", Value::Int(8)), ("did", Value::text(DID)), ("time", Value::text(TIME))];
    let with = |fields: Vec<(&'static str, Value)>| Value::Map([common(), fields].concat());

    let mut repo = Repo::new(DID, Signer::k256(1));
    let commit = repo.apply(&[]);
    let sync = Frame::decode(&repo.sync_message(8)).expect("reads");
    assert!(
        matches!(&sync, Frame::Sync(sync) if sync.rev == commit.rev && sync.seq == 8 && !sync.blocks.is_empty())
    );

    let handle = |body| match Frame::decode(&message("#identity", body)).expect("reads") {
        Frame::Identity(identity) => identity.handle.map(String::from),
        other => panic!("{other:?}"),
    };
    assert_eq!(handle(with(vec![("handle", Value::text("Alice.Test"))])), Some("alice.test".into()));
    assert_eq!(handle(with(vec![("handle", Value::text("not a handle"))])), None);
    assert_eq!(handle(with(vec![("handle", Value::Null)])), None);
    assert_eq!(handle(with(vec![])), None);

    let status = |fields| match Frame::decode(&message("#account", with(fields))).expect("reads") {
        Frame::Account(account) => (account.active, account.status.map(|status| status.as_str().to_owned())),
        other => panic!("{other:?}"),
    };
    assert_eq!(status(vec![("active", Value::Bool(true))]), (true, None));
    for word in
        ["takendown", "suspended", "deleted", "deactivated", "desynchronized", "throttled", "something-new"]
    {
        let fields = vec![("active", Value::Bool(false)), ("status", Value::text(word))];
        assert_eq!(status(fields), (false, Some(word.into())));
    }

    let info =
        Value::Map(vec![("name", Value::text("OutdatedCursor")), ("message", Value::text("x".repeat(999)))]);
    let info = Frame::decode(&message("#info", info)).expect("reads");
    let Frame::Info(InfoFrame { name, message: Some(text) }) = &info else { panic!("{info:?}") };
    assert_eq!((name.as_str(), text.len(), info.seq()), ("OutdatedCursor", 300, None));
}

#[test]
fn an_error_needs_no_kind() {
    let header = Value::Map(vec![("op", Value::Int(-1))]).encode();
    let body = Value::Map(vec![("error", Value::text("FutureCursor"))]).encode();
    let frame = Frame::decode(&[header, body].concat().into());
    assert_eq!(frame, Ok(Frame::Error(ErrorFrame { error: "FutureCursor".into(), message: None })));
}

#[test]
fn the_unknown_is_passed_over_but_placed() {
    let frame = Frame::decode(&message("#migrate", Value::Map(event().body(7)))).expect("reads");
    let Frame::Unknown(unknown) = &frame else { panic!("{frame:?}") };
    assert_eq!((unknown.op, unknown.kind.as_deref()), (1, Some("#migrate")));
    assert_eq!((frame.seq(), frame.did()), (Some(7), Some(&did())));

    let header = Value::Map(vec![("op", Value::Int(2)), ("x", Value::Null)]).encode();
    let frame = Frame::decode(&header.into()).expect("reads");
    assert_eq!(frame, Frame::Unknown(UnknownFrame { op: 2, kind: None, seq: None, did: None }));

    let more = body_with("zzz", Some(Value::List(vec![Value::Map(vec![("x", Value::Null)])])));
    assert!(matches!(Frame::decode(&message("#commit", more)), Ok(Frame::Commit(_))), "an unknown field");
}

#[test]
fn a_field_of_another_type_or_value_is_named() {
    let with = |name, value| problem(&message("#commit", body_with(name, value)));
    for name in ["repo", "rev", "since"] {
        assert_eq!(with(name, Some(Value::text("?"))), FrameProblem::BadField(name));
    }
    assert_eq!(with("seq", Some(Value::Int(-1))), FrameProblem::BadField("seq"));
    for name in ["seq", "repo", "commit", "rev", "blocks", "ops", "time"] {
        assert!(matches!(with(name, None), FrameProblem::FrameMalformed(CborError::Shape(_))), "{name}");
        let other = with(name, Some(Value::Bool(true)));
        assert!(matches!(other, FrameProblem::FrameMalformed(CborError::Shape(_))), "{name}");
    }
    let op = |action: &str| {
        let fields =
            vec![("action", Value::text(action)), ("path", Value::text("a/b")), ("cid", Value::Null)];
        body_with("ops", Some(Value::List(vec![Value::Map(fields)])))
    };
    assert_eq!(problem(&message("#commit", op("replace"))), FrameProblem::BadField("action"));
    assert!(Frame::decode(&message("#commit", op("delete"))).is_ok());

    // Left out, null, or no time: tolerated.
    for (name, value) in [
        ("since", None),
        ("prevData", None),
        ("prevData", Some(Value::Null)),
        ("time", Some(Value::text("soon"))),
        // Of no meaning any more, whatever they say.
        ("tooBig", Some(Value::Bool(true))),
        ("tooBig", None),
        ("rebase", Some(Value::Bool(true))),
        ("rebase", None),
    ] {
        assert!(Frame::decode(&message("#commit", body_with(name, value))).is_ok(), "{name}");
    }
    let headless = Value::Map(vec![("op", Value::Int(1))]).encode();
    assert_eq!(problem(&headless.into()), FrameProblem::BadField("t"));
}

#[test]
fn every_limit_has_a_name() {
    let blocks = |t, len| problem(&message(t, body_with("blocks", Some(Value::Bytes(vec![0; len])))));
    assert_eq!(blocks("#commit", 2_000_001), FrameProblem::BlocksTooLarge(2_000_001));
    let largest = body_with("blocks", Some(Value::Bytes(vec![0; 2_000_000])));
    assert!(Frame::decode(&message("#commit", largest)).is_ok());
    let sync = |len| {
        let body = vec![
            ("seq", Value::Int(8)),
            ("did", Value::text(DID)),
            ("rev", Value::text(Tid::from_timestamp_us(1, 0))),
            ("blocks", Value::Bytes(vec![0; len])),
            ("time", Value::text(TIME)),
        ];
        Frame::decode(&message("#sync", Value::Map(body)))
    };
    assert_eq!(sync(10_001).expect_err("too large").problem, FrameProblem::BlocksTooLarge(10_001));
    assert!(sync(10_000).is_ok());

    let op = Value::Map(vec![("action", Value::text("delete")), ("path", Value::text("a/b"))]);
    let ops = |count| {
        Frame::decode(&message("#commit", body_with("ops", Some(Value::List(vec![op.clone(); count])))))
    };
    assert!(ops(200).is_ok());
    let error = ops(201).expect_err("too many");
    assert_eq!((error.problem, error.seq, error.did), (FrameProblem::TooManyOps(201), Some(7), Some(did())));

    // What takes the room is of no concern where it is allowed to be.
    let filled = |len: usize| message("#commit", body_with("zzz", Some(Value::Bytes(vec![0; len]))));
    let room = FRAME_BYTES_MAX - (filled(4_000_000).len() - 4_000_000);
    assert_eq!(filled(room).len(), 5_000_000);
    assert!(Frame::decode(&filled(room)).is_ok());
    assert_eq!(problem(&filled(room + 1)), FrameProblem::FrameTooLarge(5_000_001));
    let large = message("#commit", body_with("blocks", Some(Value::Bytes(vec![0; 5_000_000]))));
    let error = Frame::decode(&large).expect_err("too large");
    assert_eq!(error.problem.name(), "FrameTooLarge");
    assert_eq!((error.seq, error.did), (Some(7), Some(did())));
}

#[test]
fn what_cannot_be_read_still_tells_its_place() {
    let place = |message: Bytes| {
        Frame::decode(&message).map_err(|error| (error.seq, error.did)).expect_err("unreadable")
    };
    let complete = event().message(7);
    // Short fields stand before long ones: a frame cut in its blocks has told its seq and account.
    assert_eq!(place(complete.slice(..complete.len() - 100)), (Some(7), Some(did())));
    assert_eq!(place(complete.slice(..20)), (None, None));
    assert_eq!(place([complete.as_ref(), &[0]].concat().into()), (Some(7), Some(did())));
    assert_eq!(place(message("#commit", body_with("seq", Some(Value::text("7"))))), (None, Some(did())));
    assert_eq!(place(message("#commit", body_with("repo", Some(Value::text("?"))))), (Some(7), None));
    // Fields out of order, and one nested too deep, are no obstacle.
    let header = Value::Map(vec![("op", Value::Int(1)), ("t", Value::text("#commit"))]).encode();
    let mut body = vec![0xa3, 0x61, b'z'];
    body.extend([0x81; 100_000]);
    body.extend([0x00, 0x64]);
    body.extend([b"repo".as_slice(), &Value::text(DID).encode(), b"\x63seq\x07"].concat());
    assert_eq!(place([header, body].concat().into()), (Some(7), Some(did())));
}

#[test]
fn nothing_is_too_deep_or_too_long_to_be_refused() {
    for message in [vec![], vec![0x81; 100_000], vec![0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(problem(&message.clone().into()).name(), "FrameMalformed");
        let header = Value::Map(vec![("op", Value::Int(1)), ("t", Value::text("#commit"))]).encode();
        assert_eq!(problem(&[header, message].concat().into()).name(), "FrameMalformed");
    }
    assert_ne!(cid(b"a"), cid(b"b"), "the builder's CIDs are of their bytes");
}

proptest! {
    #[test]
    fn an_altered_frame_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(), cut in any::<bool>(),
    ) {
        let mut bytes = event().message(7).to_vec();
        // Half of the changes fall into the fields rather than into the blocks.
        for (index, (at, byte)) in changes.into_iter().enumerate() {
            let range = if index % 2 == 0 { bytes.len().min(400) } else { bytes.len() };
            bytes[at.index(range)] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Err(error) = Frame::decode(&bytes.into()) {
            prop_assert!(!error.to_string().is_empty() && !error.problem.name().is_empty());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
        let _ = Frame::decode(&bytes.into());
    }
}
