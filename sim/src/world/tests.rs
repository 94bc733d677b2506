//! Worlds repeat themselves, and what they tell adds up to what is true.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::options::Faults;
use crate::truth::Standing;

fn addresses(options: &Options) -> Addresses {
    Addresses {
        hosts: (0..options.hosts).map(|host| format!("http://127.0.0.1:{}", 4001 + host)).collect(),
        web: (0..options.web_accounts).map(|web| format!("localhost:{}", 4101 + web)).collect(),
    }
}

fn world(options: Options, steps: usize) -> World {
    let addresses = addresses(&options);
    let mut world = World::new(options, addresses);
    (0..steps).for_each(|_| world.step());
    world
}

fn logs(world: &World) -> Vec<Vec<(i64, Bytes)>> {
    let hosts = world.hosts.iter().map(|host| &host.log);
    let relays = world.relays.iter().map(|relay| &relay.log);
    hosts.chain(relays).map(|log| log.after(0, usize::MAX)).collect()
}

#[test]
fn the_same_seed_tells_the_same_bytes() {
    let options = |seed| Options { seed, relays: 2, faults: Faults::all(), ..Options::default() };
    let (mut a, mut b, other) = (world(options(5), 800), world(options(5), 800), world(options(6), 800));
    a.settle();
    b.settle();
    assert_eq!(logs(&a), logs(&b));
    assert_ne!(logs(&a), logs(&other));
    assert_eq!(format!("{:?}", a.truth()), format!("{:?}", b.truth()));
    assert_eq!(a.take_heard(0).len(), b.take_heard(0).len());
}

#[test]
fn everything_happens_to_somebody() {
    let mut world = world(Options { faults: Faults::all(), life: 0.2, ..Options::default() }, 3000);
    world.settle();
    let truth = world.truth();
    let mut standings = BTreeMap::new();
    for account in truth.accounts.values() {
        *standings.entry(format!("{:?}", account.standing)).or_insert(0) += 1;
        assert_eq!(account.repo.is_none(), account.standing == Standing::Deleted);
    }
    assert_eq!(standings.len(), 5, "{standings:?}");
    let records =
        || truth.accounts.values().filter_map(|account| account.repo.as_ref()).flat_map(|repo| &repo.records);
    for kind in &crate::records::KINDS {
        assert!(records().any(|(path, _)| path.starts_with(&format!("{}/", kind.nsid))), "{}", kind.nsid);
    }
    assert!(truth.accounts.values().any(|account| account.handle.is_none()), "a handle has lapsed");
    assert!(world.accounts.iter().any(|account| account.homes.len() > 1), "somebody has moved");
    assert!(!records().any(|(_, record)| record.json.get("forged").is_some()), "nothing forged is true");
    let known = &world.relays[0].known;
    assert!(known.len() >= 40 && known.values().any(|known| known.standing == Standing::Deleted));
}

#[test]
fn without_faults_all_is_told_once_and_in_order() {
    let mut world = world(Options { relays: 1, ..Options::default() }, 1500);
    world.settle();
    let logs = logs(&world);
    let told: usize = logs[..3].iter().map(Vec::len).sum();
    assert_eq!(told, logs[3].len());
    for log in &logs {
        assert!(log.iter().map(|(seq, _)| *seq).eq(1..=log.len() as i64));
    }
    assert_eq!(world.take_heard(0).len(), told);
    assert!(world.take_heard(0).is_empty());
}
