//! How a record becomes rows: the write side of plyr.

pub mod apply;
pub mod change;
pub mod dag;
pub mod lexicon;
pub mod syntax;
