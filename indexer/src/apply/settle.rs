//! What is proven of records by other means than a live commit: a repo read as a whole, or one record of it.

use std::collections::HashMap;
use std::time::Duration;

use super::table::{self, RepoState, Row, Scope, Stretch};
use super::world::World;
use crate::change::{Asked, Op, Proof, RepoSnapshot, Status};
use crate::job;
use crate::sabotage;
use crate::syntax::{AtUri, Did, Tid};

/// After so long without another stretch of a repo, nobody reads it any more.
pub(crate) const FINISH_PATIENCE: Duration = Duration::from_secs(20);
/// Fewer records than this may vanish from a repo without an alarm.
const COLLAPSE_MIN: usize = 10;

impl World<'_> {
    pub(super) fn snapshot(&mut self, snapshot: &RepoSnapshot) {
        let RepoSnapshot { did, rev, records, authoritative, asked, .. } = snapshot;
        let stretch = Stretch::from(snapshot);
        let Some(held) = self.repos.get_mut(did).filter(|held| held.status != Some(Status::Deleted)) else {
            return;
        };
        let scope = table::scope(&mut held.repo, &stretch);
        metrics::counter!("plyr_snapshots_total", "scope" => format!("{scope:?}")).increment(1);
        if scope == Scope::Discard {
            if held.repo.state != RepoState::Synchronized && held.followed {
                self.effects.job(job::RESYNC, did.as_str());
            }
            return;
        }
        (held.changed, held.verified, held.read) = (true, true, true);
        if scope == Scope::NewEpoch {
            tracing::warn!(%did, %rev, "the repo went back to an older state");
            metrics::counter!("plyr_repo_epochs_total").increment(1);
        }
        // A proven tombstone says already what the snapshot says; from now on the synced rev defends it.
        let epoch = held.repo.epoch;
        let rests = |row: &Row| row.cid.is_none() && row.proven && row.epoch == epoch;
        let within = |uri: &AtUri| {
            stretch.after.is_none_or(|after| uri > after) && stretch.upto.is_none_or(|upto| uri <= upto)
        };
        let live: HashMap<&AtUri, Op> = records
            .iter()
            .filter(|(uri, ..)| within(uri) && self.keeps(uri))
            .map(|(uri, cid, value)| (uri, Op::Put { cid: *cid, value: value.clone() }))
            .collect();
        let mine = self.rows.iter().filter(|(uri, _)| uri.authority() == did.as_str() && within(uri));
        let held_live = mine.clone().filter(|(_, row)| row.cid.is_some()).count();
        let absent: Vec<(AtUri, bool)> = mine
            .filter(|(uri, row)| !live.contains_key(uri) && !rests(row))
            .map(|(uri, row)| (uri.clone(), row.cid.is_some()))
            .collect();
        let lost = absent.iter().filter(|(_, was_live)| *was_live).count();
        let authority = authoritative.then_some(asked);
        for (uri, _) in absent.iter().filter(|_| !sabotage::is_on("resync-without-deletes")) {
            self.settle(did, uri, rev, &Op::Delete, authority);
        }
        for (uri, op) in &live {
            self.settle(did, uri, rev, op, authority);
        }
        // Whoever reads it may be stopped between two stretches, and leave nobody who knows of the rest.
        match (&stretch.after, &stretch.upto) {
            (_, Some(_)) => self.effects.job_after(FINISH_PATIENCE, job::FINISH, did.as_str()),
            (Some(_), None) => self.effects.withdraw(job::FINISH, did.as_str()),
            (None, None) => {}
        }
        let Some(held) = self.repos.get_mut(did) else { return };
        let in_all = table::complete(&mut held.repo, &stretch, held_live, lost);
        if let Some((held, lost)) = in_all.filter(|(held, lost)| *lost >= COLLAPSE_MIN && lost * 2 > *held) {
            // It is believed, for it is signed; but somebody should know.
            tracing::warn!(%did, held, lost, "most of a repo is gone");
            metrics::counter!("plyr_repo_collapses_total").increment(1);
        }
        if let Some(held) = self.repos.get_mut(did).filter(|held| !held.followed && stretch.upto.is_none()) {
            // It was looked at once. What comes is not followed, and so would seem to have gaps.
            let repo = &mut held.repo;
            (repo.state, repo.rev, repo.data) = (RepoState::Unknown, None, None);
            repo.trail.clear();
        }
    }

    pub(super) fn proof(&mut self, proof: &Proof) {
        let Proof { uri, rev, op, asked } = proof;
        let did = uri.did();
        if !self.keeps(uri) {
            return;
        }
        let (tracks, refers) = (self.tracks(uri), self.refers(uri));
        let Some(held) = self.repos.get_mut(&did).filter(|held| held.status != Some(Status::Deleted)) else {
            return;
        };
        let is_current = asked.epoch == held.repo.epoch;
        let is_current = is_current || sabotage::is_on("proof-of-another-epoch");
        if !is_current || held.repo.rev.as_ref().is_some_and(|head| rev < head) {
            if is_current && asked.seen_rev.as_ref().is_some_and(|seen| rev < seen) {
                // The host stood behind what it had shown before we asked: only the whole repo tells what it is now.
                self.effects.job(job::RESYNC, did.as_str());
            } else if refers {
                // Whoever asked sees that nothing came of it.
            } else if tracks {
                self.prove_later(&did);
            } else {
                self.effects.job(job::MEET, did.as_str());
            }
            return;
        }
        table::see(&mut held.repo, rev);
        held.changed = true;
        self.settle(&did, uri, rev, op, Some(asked));
    }

    fn settle(&mut self, did: &Did, uri: &AtUri, rev: &Tid, op: &Op, authority: Option<&Asked>) {
        let Some(held) = self.repos.get(did) else { return };
        let verdict = table::settle(&held.repo, self.rows.get(uri), rev, op.cid(), authority);
        self.carry_out(verdict, did, uri, rev, op, None);
    }
}
