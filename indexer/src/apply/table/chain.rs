//! How commits, and announcements of commits, move a repo.

use cid::Cid;

use super::{Repo, RepoState};
use crate::sabotage;
use crate::syntax::Tid;

/// Revs remembered while a repo is not whole.
pub const TRAIL_MAX: usize = 256;

/// How a live commit stands to what we hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Already passed.
    Replay,
    /// It continues the chain, or begins it.
    Follows,
    /// It does not: something is missing, or it belongs to another history.
    Broken,
}

/// Moves the repo by a verified live commit and says how it stood to the chain.
///
/// A broken chain is followed anew from the commit that broke it; `trail` remembers its revs, so that one snapshot taken
/// at any of them makes the repo whole, however many commits pass while it is fetched.
pub fn follow(repo: &mut Repo, rev: &Tid, since: Option<&Tid>, prev_data: Option<&Cid>, data: &Cid) -> Chain {
    if repo.rev.as_ref().is_some_and(|held| rev <= held) {
        return Chain::Replay;
    }
    let jumps =
        repo.seen_rev.as_ref().is_some_and(|seen| since.is_none_or(|since| since < seen) && seen < rev);
    let continues = match (&repo.rev, since) {
        (None, None) => true,
        // What does not say on which tree it was built may stand on any.
        (Some(held), Some(since)) => {
            (held == since || sabotage::is_on("ignore-since"))
                && (prev_data.is_some() && prev_data == repo.data.as_ref()
                    || sabotage::is_on("ignore-prev-data"))
        }
        _ => false,
    };
    let jumps = jumps && !sabotage::is_on("ignore-jumps");
    let chain = if continues && !jumps { Chain::Follows } else { Chain::Broken };
    if chain == Chain::Broken {
        // A gap: what follows it is continuous from `since`. Another history: only from this commit on.
        let gap = since.is_some_and(|since| repo.rev.as_ref() != Some(since)) && !jumps;
        break_off(repo, since.filter(|_| gap).into_iter().chain([rev]).cloned().collect());
    } else {
        go_on(repo, rev);
    }
    repo.rev = Some(rev.clone());
    repo.data = Some(*data);
    see(repo, rev);
    chain
}

/// The chain begins anew, and what is being read of the repo belongs to the one before.
fn break_off(repo: &mut Repo, trail: Vec<Tid>) {
    repo.state = RepoState::Desynchronized;
    repo.resync = None;
    repo.trail = trail;
}

/// The chain goes on to `rev`.
fn go_on(repo: &mut Repo, rev: &Tid) {
    match repo.state {
        RepoState::Synchronized => {}
        RepoState::Unknown => repo.state = RepoState::Synchronized,
        RepoState::Desynchronized | RepoState::Resyncing => {
            if !sabotage::is_on("no-trail") {
                repo.trail.push(rev.clone());
            }
            // Forgetting the oldest only asks for a later snapshot, if it is not the one that is being read.
            let oldest = usize::from(repo.resync.is_some());
            let excess = repo.trail.len().saturating_sub(TRAIL_MAX);
            repo.trail.drain(oldest..oldest + excess);
        }
    }
}

/// Notes that something proved this rev.
pub fn see(repo: &mut Repo, rev: &Tid) {
    if repo.seen_rev.as_ref().is_none_or(|seen| seen < rev) && !sabotage::is_on("no-seen-rev") {
        repo.seen_rev = Some(rev.clone());
    }
}

/// Something of the repo was lost or contradicts itself: it is not whole, though its chain goes on. Whatever is being read
/// of it is still true, and not enough.
pub fn doubt(repo: &mut Repo) {
    if repo.state == RepoState::Synchronized {
        repo.trail = repo.rev.clone().into_iter().collect();
    }
    repo.state = RepoState::Desynchronized;
}

/// `#sync`: whether the repo stands where we stand. If not it is desynchronized.
pub fn announce(repo: &mut Repo, rev: &Tid, data: &Cid) -> Chain {
    let holds = matches!(repo.state, RepoState::Synchronized | RepoState::Resyncing);
    match &repo.rev {
        Some(held) if rev < held => return Chain::Replay,
        Some(held) if rev == held && repo.data.as_ref() == Some(data) && holds => return Chain::Replay,
        // Nothing changed but the rev: an account that came back re-announces itself so.
        Some(_) if repo.data.as_ref() == Some(data) && holds => {
            go_on(repo, rev);
            repo.rev = Some(rev.clone());
            see(repo, rev);
            return Chain::Follows;
        }
        _ => {}
    }
    // Only a snapshot at this very commit or a later one can tell what it holds.
    break_off(repo, vec![rev.clone()]);
    repo.rev = Some(rev.clone());
    repo.data = Some(*data);
    see(repo, rev);
    Chain::Broken
}
