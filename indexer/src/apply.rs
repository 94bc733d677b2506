//! The door.

#[cfg(test)]
mod model;
pub mod table;
