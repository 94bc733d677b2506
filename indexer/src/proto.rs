//! What enters from the network, read and proven: keys, CAR files, Merkle search trees, commits and stream frames.
//!
//! Pure functions over bytes, without I/O but for the files in which [`repo_file`] puts down what is too large. All input
//! is taken for hostile: nothing here panics, recurses without a bound, or reserves memory because a length in the input
//! says so.
//!
//! * [`frame`] reads the events of `com.atproto.sync.subscribeRepos`;
//! * [`verify`] proves what a commit, a record or a whole repo says, from the signature down to the record's bytes;
//! * [`repo_file`] proves a whole repo of any size while it arrives, in little memory;
//! * [`key`], [`commit`], [`mst`], [`car`] and [`cbor`] are the steps of that proof.

pub mod car;
pub mod cbor;
pub mod commit;
pub mod frame;
pub mod key;
pub mod mst;
pub mod repo_file;
pub mod verify;

#[cfg(test)]
pub(crate) mod testing;
