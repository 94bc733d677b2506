//! The other half of a commit's proof: that it names all of its changes.
//!
//! Undoing the operations on the tree after the commit must give the tree before it, whose root the event tells. A change
//! that the event keeps quiet about would remain, and with it another root.
//!
//! <https://atproto.com/specs/sync>

use cid::Cid;

use super::{CommitProblem, split_path};
use crate::proto::car::{self, BinaryCid, Blocks};
use crate::proto::frame::{Action, CommitFrame, RepoOp};
use crate::proto::mst::{self, MstError, PartialTree};
use crate::sabotage;
use crate::syntax::{Nsid, Rkey};

/// What became of one path: all of a commit's operations on it, taken together.
#[derive(Debug)]
pub(super) struct Change<'e> {
    pub(super) path: &'e str,
    pub(super) collection: Nsid,
    pub(super) rkey: Rkey,
    /// The record before the commit, if the event tells.
    before: Option<Cid>,
    /// The record after it.
    pub(super) after: Option<Cid>,
}

/// Folds operations into one change for each path, in the order of the last ones.
///
/// One commit may delete and create the same path, or write it twice. Each further operation on a path must be possible
/// after the one before, and say of the record before *it* what either that operation left or the commit found: hosts do
/// the latter. `tells_prev`: the event is of a host that gives records their `prev`.
pub(super) fn fold(ops: &[RepoOp], tells_prev: bool) -> Result<Vec<Change<'_>>, CommitProblem> {
    let mut changes: Vec<Change<'_>> = Vec::with_capacity(ops.len());
    for op in ops {
        let (collection, rkey) = split_path(&op.path)?;
        let bad = || CommitProblem::BadOp(op.path.clone());
        if op.cid.is_none() != (op.action == Action::Delete) {
            return Err(bad());
        }
        let mut before = op.prev;
        match changes.iter().position(|change| change.path == op.path) {
            None if tells_prev && op.prev.is_none() != (op.action == Action::Create) => return Err(bad()),
            None => {}
            Some(_) if sabotage::is_on("fold-first-op-wins") => continue,
            Some(at) => {
                let earlier = changes.remove(at);
                before = earlier.before;
                let is_possible = earlier.after.is_none() == (op.action == Action::Create);
                if tells_prev && !(is_possible && [earlier.before, earlier.after].contains(&op.prev)) {
                    return Err(bad());
                }
            }
        }
        changes.push(Change { path: &op.path, collection, rkey, before, after: op.cid });
    }
    Ok(changes)
}

/// Checks that the changes stand in the tree after the commit, and that undone they give the tree before it: the one that
/// the event tells, or the empty one before a first commit.
pub(super) fn check(
    event: &CommitFrame,
    blocks: &Blocks<'_>,
    data: &Cid,
    changes: &[Change<'_>],
) -> Result<(), CommitProblem> {
    let values: Vec<Values> =
        changes.iter().map(|change| [change.before, change.after].map(|cid| Some(cid?.to_bytes()))).collect();
    let root = car::binary(data).ok_or(MstError::MissingBlock(*data))?;
    let before = undo(&mut PartialTree::new(blocks, &root), changes, &values)?;
    let is_empty = before == mst::empty_root();
    let is_as_told = match event.prev_data {
        Some(told) => car::binary(&told) == Some(before) && (event.since.is_some() || is_empty),
        None => is_empty,
    };
    if is_as_told || sabotage::is_on("skip-inversion") {
        Ok(())
    } else {
        Err(CommitProblem::BadInversion(mst::decoded(&before)))
    }
}

/// The CIDs of a change before and after, in binary form.
type Values = [Option<Vec<u8>>; 2];

/// Undoes changes on the tree after the commit, and answers the root before it.
///
/// What was deleted comes back first, so that no layer is gone which the rest would need.
fn undo<'a>(
    tree: &mut PartialTree<'a>,
    changes: &[Change<'_>],
    values: &'a [Values],
) -> Result<BinaryCid, CommitProblem> {
    let in_order = |kind: [bool; 2]| {
        let both = changes.iter().zip(values);
        both.filter(move |(_, cids)| [cids[0].is_some(), cids[1].is_some()] == kind)
    };
    for (change, cids) in in_order([true, false]) {
        if let [Some(before), _] = cids
            && tree.insert(change.path.as_bytes(), before)?.is_some()
        {
            return Err(CommitProblem::StillInMst(change.path.to_owned()));
        }
    }
    for (change, cids) in in_order([true, true]) {
        if let [Some(before), after] = cids
            && tree.replace(change.path.as_bytes(), before)? != after.as_deref()
        {
            return Err(CommitProblem::NotInMst(change.path.to_owned()));
        }
    }
    for (change, [_, after]) in in_order([false, true]) {
        let found = tree.remove(change.path.as_bytes())?;
        if found != after.as_deref() && !sabotage::is_on("skip-mst-membership") {
            return Err(CommitProblem::NotInMst(change.path.to_owned()));
        }
    }
    // Created and deleted at once.
    for (change, _) in in_order([false, false]) {
        if tree.get(change.path.as_bytes())?.is_some() {
            return Err(CommitProblem::StillInMst(change.path.to_owned()));
        }
    }
    Ok(tree.root()?)
}

/// Checks a change against the tree after the commit, without regard to the one before.
pub(super) fn find(blocks: &Blocks<'_>, data: &Cid, change: &Change<'_>) -> Result<(), CommitProblem> {
    match (mst::lookup(blocks, data, change.path.as_bytes())?, change.after) {
        (found, after) if found == after => Ok(()),
        (_, Some(_)) => Err(CommitProblem::NotInMst(change.path.to_owned())),
        (_, None) => Err(CommitProblem::StillInMst(change.path.to_owned())),
    }
}
