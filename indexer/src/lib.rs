//! How a record becomes rows: the write side of plyr.

pub mod proto;
pub mod syntax;
