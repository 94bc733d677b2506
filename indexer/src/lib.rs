//! How a record becomes rows: the write side of plyr.

pub mod identity;
pub mod net;
pub mod syntax;
