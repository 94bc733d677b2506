//! How do I run it?

pub mod postgres;
