//! True repos for tests: built, signed and encoded by the specifications, with nothing of the code under test.

mod repo;
mod signer;
mod tree;
mod value;

pub(crate) use repo::{Edit, Event, EventOp, Repo};
pub(crate) use signer::Signer;
pub(crate) use tree::Tree;
pub(crate) use value::{Value, car, cid, message};
