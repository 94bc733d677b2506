//! How a repo that is read as a whole, in one stretch or in many, moves it.
//!
//! The first stretch moves the head of the chain to the rev that is read, where it is not behind it already: commits up to
//! there are replays from then on, and those after it continue the chain while the other stretches come. A reader that
//! dies in between leaves a repo that is not whole; whoever reads it next begins with a first stretch.

use cid::Cid;

use super::{Repo, RepoState, see};
use crate::change::{Asked, RepoSnapshot};
use crate::sabotage;
use crate::syntax::{AtUri, Tid};

/// A resync under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// The rev that is read.
    pub rev: Tid,
    /// Everything up to here is settled against it.
    pub upto: AtUri,
    /// Records that we held there.
    pub held: usize,
    /// Of those, the ones that it does not have.
    pub lost: usize,
}

/// One stretch of a repo that was read.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// The commit it was read at.
    pub at: &'a Tid,
    /// The MST root there.
    pub data: &'a Cid,
    /// It begins after this; none = with the repo.
    pub after: Option<&'a AtUri>,
    /// It ends with this; none = with the repo.
    pub upto: Option<&'a AtUri>,
    /// From the account's current PDS and not from a mirror.
    pub authoritative: bool,
    /// What we knew before we asked.
    pub asked: &'a Asked,
}

impl<'a> From<&'a RepoSnapshot> for Stretch<'a> {
    fn from(snapshot: &'a RepoSnapshot) -> Self {
        let RepoSnapshot { rev: at, data, after, upto, authoritative, asked, .. } = snapshot;
        let (after, upto, authoritative) = (after.as_ref(), upto.as_ref(), *authoritative);
        Stretch { at, data, after, upto, authoritative, asked }
    }
}

/// What a stretch of a repo read at some rev means for the repo row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A mirror that lags, an answer overtaken by a newer one, or a stretch out of its turn: not used. Ask again unless the
    /// repo is whole.
    Discard,
    /// Each record is settled against it.
    Settle,
    /// The account's own host went back: every record is rewritten in a new epoch.
    NewEpoch,
}

/// Says how a stretch is to be read, and moves the repo to where its records can be settled.
pub fn scope(repo: &mut Repo, stretch: &Stretch) -> Scope {
    match stretch.after {
        Some(after) => resume(repo, stretch, after),
        None => begin(repo, stretch),
    }
}

fn begin(repo: &mut Repo, stretch: &Stretch) -> Scope {
    let Stretch { at, data, asked, authoritative, .. } = *stretch;
    if asked.epoch != repo.epoch {
        return Scope::Discard;
    }
    let went_back = asked.seen_rev.as_ref().is_some_and(|seen| at < seen);
    if went_back && !authoritative {
        return Scope::Discard;
    }
    if went_back && sabotage::is_on("no-epoch") {
        return Scope::Discard;
    }
    if went_back {
        // Nothing of the other history is a reason to doubt this one.
        *repo = Repo { epoch: repo.epoch + 1, state: repo.state, ..Repo::default() };
    } else {
        // The stream, or another reader, went on while we asked. Only a state that the stream passed through may be settled
        // against: another may belong to a history that the host has left, and what it lacks has no tombstone here to
        // defend itself.
        let passed = repo.resync.as_ref().map(|resync| &resync.rev);
        let held = repo.rev.as_ref().or(repo.seen_rev.as_ref()).max(passed);
        let passed = repo.trail.contains(at) || sabotage::is_on("any-old-snapshot");
        if held.is_some_and(|held| at < held) && !passed {
            return Scope::Discard;
        }
    }
    repo.resync = None;
    see(repo, at);
    if repo.rev.as_ref().is_none_or(|held| held <= at) {
        repo.rev = Some(at.clone());
        repo.data = Some(*data);
        repo.trail = vec![at.clone()];
    } else {
        repo.trail.retain(|rev| rev >= at);
    }
    repo.state = RepoState::Resyncing;
    if went_back { Scope::NewEpoch } else { Scope::Settle }
}

fn resume(repo: &Repo, stretch: &Stretch, after: &AtUri) -> Scope {
    let Stretch { at, asked, .. } = stretch;
    let Some(resync) = &repo.resync else { return Scope::Discard };
    let went_back = asked.seen_rev.as_ref().is_some_and(|seen| *at < seen);
    // The epoch may be the one that its own first stretch began.
    let ours = repo.epoch == asked.epoch + i32::from(went_back);
    let continues = resync.rev == **at && resync.upto == *after || sabotage::is_on("stretch-gap-accepted");
    if ours && continues { Scope::Settle } else { Scope::Discard }
}

/// Moves the repo once every record of a stretch is settled, of which we held `held` before and `lost` are gone. After the
/// last one the repo is whole, unless it was doubted meanwhile; then this answers with the numbers of all stretches.
pub fn complete(repo: &mut Repo, stretch: &Stretch, held: usize, lost: usize) -> Option<(usize, usize)> {
    let before = repo.resync.take().map_or((0, 0), |resync| (resync.held, resync.lost));
    let (held, lost) = (before.0 + held, before.1 + lost);
    if sabotage::is_on("synced-rev-too-early") {
        repo.synced_rev = repo.synced_rev.take().max(Some(stretch.at.clone()));
    }
    if let Some(upto) = stretch.upto {
        repo.resync = Some(Resync { rev: stretch.at.clone(), upto: upto.clone(), held, lost });
        return None;
    }
    repo.synced_rev = repo.synced_rev.take().max(Some(stretch.at.clone()));
    if repo.state == RepoState::Resyncing || sabotage::is_on("doubt-forgotten") {
        repo.state = RepoState::Synchronized;
        repo.trail.clear();
    }
    Some((held, lost))
}
