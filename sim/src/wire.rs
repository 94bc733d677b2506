//! The bytes of the protocol, made by its specifications and with nothing of the code that reads them.

mod base;
mod car;
mod cid;
mod commit;
mod document;
mod frame;
mod json;
mod key;
mod tid;
mod tree;
mod value;

pub use base::{base32, base58};
pub use car::car;
pub use cid::Cid;
pub use commit::{Commit, sign_commit};
pub use document::{KeyForm, document};
pub use frame::{CommitBody, Op};
pub use frame::{Frame, account, commit, error, identity, info, sync, unknown};
pub use json::to_json;
pub use key::Signer;
pub use tid::tid;
pub use tree::{Leaf, Tree};
pub use value::Value;
