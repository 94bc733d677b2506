use proptest::prelude::*;

use super::*;
use crate::proto::testing::{self, Edit, Repo, Signer, Tree, Value};
use crate::proto::verify::verify_repo;

const WANTED: &str = "fm.plyr.track";

fn record(text: &str) -> Value {
    Value::Map(vec![("$type", Value::text("x")), ("text", Value::text(text))])
}

fn repo(paths: &[String]) -> Repo {
    let mut repo = Repo::new("did:plc:ewvi7nxzyoun6zhxrhs64oiz", Signer::k256(7));
    let edits: Vec<Edit> = paths.iter().map(|path| Edit::Put(path.clone(), record(path))).collect();
    repo.apply(&edits);
    repo
}

fn taken(pieces: impl Iterator<Item = Vec<u8>>, limits: Limits) -> Result<RepoFile, RepoFileError> {
    let mut intake = Intake::new(&std::env::temp_dir(), limits);
    for piece in pieces {
        intake.push(&piece)?;
    }
    intake.finish()
}

/// All that a file says, read in pieces and handed out in stretches.
fn read(car: &[u8], repo: &Repo, piece: usize, stretch: usize) -> Result<Vec<RepoRecord>, RepoFileError> {
    let file = taken(car.chunks(piece.max(1)).map(<[u8]>::to_vec), Limits::default())?;
    let head = file.head(&repo.did, &repo.signer.public())?;
    let mut records = file.records(&head.data, |collection| collection == WANTED)?;
    let mut all = Vec::new();
    while !records.is_at_end() {
        let next = records.stretch(stretch, 1 << 20)?;
        assert!(!next.is_empty() && next.len() <= stretch);
        all.extend(next);
    }
    assert!(records.stretch(stretch, 1 << 20)?.is_empty());
    Ok(all)
}

fn paths(of: &[(&str, usize)]) -> Vec<String> {
    of.iter()
        .flat_map(|(collection, count)| (0..*count).map(move |n| format!("{collection}/r{n:05}")))
        .collect()
}

fn problem(result: Result<Vec<RepoRecord>, RepoFileError>) -> &'static str {
    match result {
        Err(RepoFileError::Unproven(problem)) => problem.name(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_repo_has_nothing() {
    let repo = repo(&[]);
    assert_eq!(read(&repo.car(), &repo, 10, 10).expect("proven"), []);
}

#[test]
fn what_is_missing_altered_or_cut_off_changes_nothing() {
    let repo = repo(&paths(&[("app.bsky.feed.post", 40), (WANTED, 40), ("fm.plyr.zoo", 5)]));
    let car = repo.car();
    assert_eq!(read(&car, &repo, 1000, 7).expect("proven").len(), 40);
    // Cut off anywhere: within a block it shows at once, between two of them by what is missing.
    for len in (0..car.len()).step_by(97) {
        let cut = problem(read(&car[..len], &repo, 1000, 7));
        assert!(["CarMalformed", "BlockMissing"].contains(&cut), "{len}: {cut}");
    }
    let blocks = repo.blocks();
    let root = repo.commit_block().0;
    let without = |missing: usize| {
        let rest: Vec<_> = blocks
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, block)| block.clone())
            .collect();
        read(&testing::car(&root, &rest), &repo, 1000, 7)
    };
    for (at, (cid, _)) in blocks.iter().enumerate() {
        let is_foreign = repo.entries().iter().any(|(path, value)| value == cid && !path.starts_with(WANTED));
        match without(at) {
            Ok(all) => assert!(is_foreign && all.len() == 40, "{at}"),
            missing => assert!(!is_foreign && problem(missing) == "BlockMissing", "{at}"),
        }
    }
    for at in (0..car.len()).step_by(101) {
        let mut altered = car.clone();
        altered[at] ^= 0x10;
        problem(read(&altered, &repo, 1000, 7));
    }
}

#[test]
fn only_its_own_account_and_key_will_do() {
    let repo = repo(&paths(&[(WANTED, 3)]));
    let file = taken([repo.car()].into_iter(), Limits::default()).expect("whole");
    let other = Signer::k256(8).public();
    assert_eq!(file.head(&repo.did, &other).expect_err("another key").name(), "BadSignature");
    let did = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".parse().expect("a DID");
    assert_eq!(file.head(&did, &repo.signer.public()).expect_err("another account").name(), "DidMismatch");
    assert!(file.head(&repo.did, &repo.signer.public()).is_ok(), "and may be asked again");
}

#[test]
fn every_limit_holds() {
    let repo = repo(&paths(&[(WANTED, 50)]));
    let car = repo.car();
    let whole = Limits::default();
    let reads = |limits: Limits| -> Result<(), RepoFileError> {
        let file = taken(car.chunks(100).map(<[u8]>::to_vec), limits)?;
        let head = file.head(&repo.did, &repo.signer.public())?;
        file.records(&head.data, |_| true).map(|_| ())
    };
    reads(whole).expect("within all of them");
    for limits in [
        Limits { total_bytes: car.len() as u64 - 1, ..whole },
        Limits { block_bytes: 100, ..whole },
        Limits { blocks: 51, ..whole },
        Limits { nodes: 2, ..whole },
        Limits { wanted: 49, ..whole },
        Limits { node_bytes: 60, ..whole },
    ] {
        let error = reads(limits).expect_err("beyond one");
        let name = match &error {
            RepoFileError::Unproven(problem) => problem.name(),
            RepoFileError::Spool(_) => "Spool",
        };
        assert!(["CarMalformed", "MstMalformed"].contains(&name), "{limits:?}: {error}");
    }
    // A length is refused before anything of it is waited for, let alone reserved.
    let mut intake = Intake::new(&std::env::temp_dir(), whole);
    intake.push(&car[..200]).expect("the beginning");
    let mut intake = Intake::new(&std::env::temp_dir(), whole);
    assert!(intake.push(&[0xff, 0xff, 0xff, 0xff, 0x7f]).is_err(), "a header of gigabytes");
}

/// A repo of 20,000 records (5 MB; `PLYR_LARGE_REPO` says another number), nearly all foreign, in an order that no walk
/// would choose.
#[test]
fn a_large_repo_takes_little_memory() {
    let mut entries = Vec::new();
    let mut blocks = Vec::new();
    let count = std::env::var("PLYR_LARGE_REPO").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000u64);
    for number in 0..count {
        let collection = if number % 100 == 0 { WANTED } else { "app.bsky.feed.like" };
        let block = record(&format!("{number:0200}")).encode();
        entries.push((format!("{collection}/{number:013}"), testing::cid(&block)));
        blocks.push((testing::cid(&block), block));
    }
    entries.sort();
    let tree = Tree::build(&entries);
    blocks.extend(tree.nodes());
    blocks.sort();
    let car = testing::car(&tree.root, &blocks);
    let file = taken(car.chunks(64 << 10).map(<[u8]>::to_vec), Limits::default()).expect("whole");
    // 16 bytes for each of these, and for each record wanted.
    assert!(file.nodes.len() < count as usize / 2, "{} nodes", file.nodes.len());
    let wanted = count.div_ceil(100) as usize;
    let mut records = file.records(&tree.root, |collection| collection == WANTED).expect("proven");
    assert_eq!((records.places.len(), records.unwanted()), (wanted, count - wanted as u64));
    // The file holds the rest: in memory are the last piece of it and the list of what is wanted.
    assert!(records.spool.memory_bytes() <= 1 << 20 && records.list.memory_bytes() <= 1 << 20);
    let mut handed_out = 0;
    while !records.is_at_end() {
        let stretch = records.stretch(150, 2 << 20).expect("readable");
        assert!(
            stretch.len() <= 150 && stretch.iter().all(|record| testing::cid(&record.bytes) == record.cid)
        );
        handed_out += stretch.len();
    }
    assert_eq!(handed_out, wanted);
}

proptest! {
    #[test]
    fn it_says_what_the_file_read_at_once_says(
        ours in 0..60usize, foreign in 0..60usize, order in any::<u64>(), piece in 1..3000usize, stretch in 1..70usize,
    ) {
        let repo = repo(&paths(&[("app.bsky.feed.post", foreign), (WANTED, ours), ("zz.last.one", foreign / 3)]));
        let mut blocks = repo.blocks();
        blocks.sort_by_key(|(cid, _)| {
            cid.hash().digest().iter().fold(order, |hash, byte| hash.wrapping_mul(31).wrapping_add((*byte).into()))
        });
        let car = testing::car(&repo.commit_block().0, &blocks);
        let at_once = verify_repo(&car, &repo.did, &repo.signer.public(), |collection| collection == WANTED);
        prop_assert_eq!(read(&car, &repo, piece, stretch).expect("proven"), at_once.expect("proven").records);
    }
}
