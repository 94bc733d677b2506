//! plyr from outside: the real binary, on a real PLC, a real PDS, a real Postgres and a real browser.
//!
//! One binary, so that the services start once; each test has accounts, a database and a plyr of its own. Everything is
//! started here, awaited by asking and never by sleeping, and no test is skipped because something is missing.

mod api;
mod auth;
mod browser;
mod cache;
mod chart;
mod cli;
mod clients;
mod cors;
mod crash;
mod door;
mod feeds;
mod fixed;
mod foreign;
mod fuzz_api;
mod gate;
mod hand;
mod independent;
mod lexicons;
mod liar;
mod links;
mod live;
mod looking;
mod machines;
mod media;
mod names;
mod now_playing;
mod oddities;
mod operation;
mod play;
mod problems;
mod rebuild;
mod river;
mod sdk;
mod search;
mod service_auth;
mod sim;
mod sql;
mod status;
mod streams;
mod teal;
mod timeline;
mod truth;
mod upload;
mod whole;
mod world;
mod xrpc;
