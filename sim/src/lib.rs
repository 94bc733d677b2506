//! A simulated ATProto network, for finding out what plyr does when the real one misbehaves.
//!
//! Accounts on a PLC directory and several hosts, a relay and a Jetstream, all in one process and on loopback, speaking
//! real bytes: signed commits, true CAR files, DID documents in both key forms. What happens is decided by a seed alone.
//!
//! [`recording`] makes streams of frames for measuring.

pub mod clock;
pub mod dice;
pub mod jetstream;
pub mod oracle;
pub mod recording;
pub mod records;
pub mod truth;
pub mod wire;
