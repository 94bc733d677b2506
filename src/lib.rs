//! How do I run it? Settings, the embedded Postgres, the commands, and what an operator sees.

mod allocator;
pub mod config;
pub mod postgres;
pub mod run;
pub mod telemetry;
