//! A simulated ATProto network, for finding out what plyr does when the real one misbehaves.
//!
//! Accounts on a PLC directory and several hosts, a relay and a Jetstream, all in one process and on loopback, speaking
//! real bytes: signed commits, true CAR files, DID documents in both key forms. What happens is decided by a seed alone.
//!
//! [`world`] is what happens, without a clock, a socket or a thread of its own; [`Network`] serves one. [`oracle`] says what
//! must come of it. [`recording`] makes streams of frames for measuring.

pub mod clock;
pub mod dice;
pub mod jetstream;
mod network;
pub mod options;
pub mod oracle;
pub mod recording;
pub mod records;
mod serve;
pub mod truth;
pub mod wire;
pub mod world;

pub use network::Network;
pub use options::{Faults, Options};
