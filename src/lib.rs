//! How do I run it?

pub mod config;
pub mod postgres;
