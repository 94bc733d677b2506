//! What can be wrong with a proof.

use cid::Cid;

use crate::proto::car::CarError;
use crate::proto::commit::CommitError;
use crate::proto::key::BadSignature;
use crate::proto::mst::MstError;
use crate::syntax::{Did, Tid};

/// Why a commit, or what should follow from it, is not proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitProblem {
    /// The blocks cannot be read.
    #[error("blocks that are no CAR file: {0}")]
    CarMalformed(CarError),
    /// A block is not what its CID names: altered on the way.
    #[error("block {0} has other bytes than its CID says")]
    HashMismatch(Cid),
    /// The blocks' root is another commit than the event's.
    #[error("the root of the blocks is not the commit")]
    RootMismatch,
    /// The commit block is not a commit of version 3.
    #[error(transparent)]
    CommitMalformed(#[from] CommitError),
    /// The commit is another account's.
    #[error("the commit is of {0}")]
    DidMismatch(Did),
    /// The commit is of another revision than the event.
    #[error("the commit is of revision {0}")]
    RevMismatch(Tid),
    /// The signature is not by the key given, which may be outdated.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// The path is not a collection and a record key.
    #[error("a bad path: {0:?}")]
    BadPath(String),
    /// An operation that puts nothing or deletes something, that tells nothing of the record which it replaces or deletes,
    /// or that cannot follow the one before it on the same path.
    #[error("an operation that contradicts itself or another: {0}")]
    BadOp(String),
    /// More than [`crate::proto::frame::RECORD_BYTES_MAX`].
    #[error("a record of {0} bytes")]
    RecordTooLarge(usize),
    /// Undoing the operations gives another tree than the one before: the commit changed more than it says, or other.
    #[error("without its operations the tree has the root {0}, not the one said")]
    BadInversion(Cid),
    /// A block that the proof needs was not delivered.
    #[error("block {0} is missing")]
    BlockMissing(Cid),
    /// The tree breaks the rules of trees.
    #[error(transparent)]
    MstMalformed(MstError),
    /// A created or updated record does not stand in the tree, or another does.
    #[error("not in the tree as the operation says: {0}")]
    NotInMst(String),
    /// A deleted record stands in the tree.
    #[error("still in the tree: {0}")]
    StillInMst(String),
    /// The tree names something that cannot be a record.
    #[error("not the CID of a record: {0}")]
    NotARecord(String),
}

impl CommitProblem {
    /// A name that stays, for logs, metrics and the table of problems.
    pub fn name(&self) -> &'static str {
        match self {
            CommitProblem::CarMalformed(_) => "CarMalformed",
            CommitProblem::HashMismatch(_) => "HashMismatch",
            CommitProblem::RootMismatch => "RootMismatch",
            CommitProblem::CommitMalformed(_) => "CommitMalformed",
            CommitProblem::DidMismatch(_) => "DidMismatch",
            CommitProblem::RevMismatch(_) => "RevMismatch",
            CommitProblem::BadSignature(_) => "BadSignature",
            CommitProblem::BadPath(_) => "BadPath",
            CommitProblem::BadOp(_) => "BadOp",
            CommitProblem::RecordTooLarge(_) => "RecordTooLarge",
            CommitProblem::BadInversion(_) => "BadInversion",
            CommitProblem::BlockMissing(_) => "BlockMissing",
            CommitProblem::MstMalformed(_) => "MstMalformed",
            CommitProblem::NotInMst(_) => "NotInMst",
            CommitProblem::StillInMst(_) => "StillInMst",
            CommitProblem::NotARecord(_) => "NotARecord",
        }
    }
}

impl From<CarError> for CommitProblem {
    fn from(error: CarError) -> Self {
        match error {
            CarError::HashMismatch(cid) => CommitProblem::HashMismatch(cid),
            other => CommitProblem::CarMalformed(other),
        }
    }
}

impl From<MstError> for CommitProblem {
    fn from(error: MstError) -> Self {
        match error {
            MstError::MissingBlock(cid) => CommitProblem::BlockMissing(cid),
            other => CommitProblem::MstMalformed(other),
        }
    }
}
