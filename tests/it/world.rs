//! The services that the tests share, and what they do with them.

pub mod agent;
pub mod consent;
pub mod gate;
pub mod holder;
pub mod network;
pub mod pds;
pub mod person;
pub mod plyr;
pub mod postgres;
pub mod tls;

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use gate::Gate;
pub use holder::Holder;
pub use network::network;
pub use pds::Account;
pub use person::Person;
pub use plyr::Plyr;

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs an async test on a runtime of its own.
pub fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

/// How long anything may take before a test gives up on it. A bound against hanging, not a claim of speed.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until the answer is what the test waits for; fails with the last answer.
pub async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let started = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if started.elapsed() > PATIENCE => {
                panic!("waited {PATIENCE:?} for {what}; last: {last}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
}

/// `Ok` when the two are equal, else what they are.
pub fn same<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{found:?} instead of {wanted:?}")) }
}
