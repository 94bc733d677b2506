//! One world and one plyr over it, from the first frame to the judgement.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sim::oracle::{Expected, differences};

use super::found;
use super::scene::{Scene, Trouble, Upstream};
use crate::world::Plyr;
use crate::world::postgres::{Database, Postgres};

/// The world moves so often; between, plyr reads.
const SLICES: u32 = 24;
const SIGKILL: i32 = 9;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Hours that pass for jobs that wait.
const HURRY_EVERY: Duration = Duration::from_secs(3);
/// For how long people are missing before hosts are asked.
const DISCOVER_AFTER: Duration = Duration::from_secs(12);
/// Where plays say that track pages live.
const PUBLIC_URL: &str = "http://plyr.example";

/// Plays a scene to its end. `Ok` says what happened, `Err` what is wrong.
pub async fn play(scene: Scene) -> Result<String, String> {
    let mut stage = Stage::set(scene).await;
    let played = stage.act().await;
    let judged = match played {
        Ok(()) => stage.judge().await,
        Err(why) => Err(why),
    };
    judged.map_err(|why| format!("{why}\nits log: {}", stage.keep_log()))
}

struct Stage {
    scene: Scene,
    net: sim::Network,
    plyr: Plyr,
    postgres: Option<Postgres>,
    dice: StdRng,
    deaths: u32,
}

impl Stage {
    async fn set(scene: Scene) -> Stage {
        let options = sim::Options {
            seed: scene.seed,
            faults: scene.faults(),
            public_url: PUBLIC_URL.to_owned(),
            ..sim::Options::default()
        };
        let net = sim::Network::start(options).await.expect("a world");
        let (db, postgres) = match scene.trouble {
            Trouble::Postgres => {
                let (db, postgres) = Database::alone().await;
                (db, Some(postgres))
            }
            _ => (Database::create().await, None),
        };
        let mut settings = net.env();
        settings.extend([
            ("PLYR_PUBLIC_URL", PUBLIC_URL.to_owned()),
            ("PLYR_UPSTREAMS", upstreams(&scene, scene.upstream, &net)),
            ("PLYR_COMPARE_EVERY", scene.compare_every().to_owned()),
        ]);
        let mut plyr = Plyr::stopped(db, &settings);
        let death = match scene.trouble {
            Trouble::Death(point, nth) => Some(format!("die:{point}:{nth}")),
            _ => None,
        };
        plyr.set("PLYR_SABOTAGE", &sabotage(&scene, death));
        Stage { scene, net, plyr, postgres, dice: StdRng::seed_from_u64(scene.seed), deaths: 0 }
    }

    /// The world goes on; plyr reads, and suffers.
    async fn act(&mut self) -> Result<(), String> {
        // Some of it is history when plyr first looks.
        self.net.advance(self.dice.random_range(0..200)).await;
        self.plyr.start_or_end().await;
        for slice in 0..SLICES {
            self.net.advance(self.dice.random_range(1..40)).await;
            tokio::time::sleep(Duration::from_millis(self.dice.random_range(0..120))).await;
            self.revive().await?;
            self.trouble(slice).await?;
            if matches!(slice, 11 | 20) && self.scene.trouble != Trouble::Postgres {
                // Numbers are right at any moment, and not only in the end.
                self.output(&["audit", "counts"]).await.map_err(|why| format!("in the middle: {why}"))?;
            }
        }
        self.net.settle().await;
        Ok(())
    }

    async fn trouble(&mut self, slice: u32) -> Result<(), String> {
        match self.scene.trouble {
            Trouble::Kills(times) if slice % 6 == 3 && self.deaths < times => {
                self.plyr.kill();
                self.deaths += 1;
                self.outlive().await;
                self.plyr.start_or_end().await;
            }
            Trouble::Postgres if matches!(slice, 6 | 15) => {
                let Some(postgres) = &mut self.postgres else { return Ok(()) };
                postgres.stop().await;
                // What happens meanwhile waits with the hosts.
                self.net.advance(20).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                postgres.start().await;
            }
            Trouble::Postgres if matches!(slice, 9 | 12 | 20) => {
                let Some(postgres) = &self.postgres else { return Ok(()) };
                postgres.crash().await;
            }
            Trouble::Switch(to) if matches!(slice, 8 | 16) => {
                let now = if slice == 8 { to } else { self.scene.upstream };
                self.plyr.terminate().await;
                self.net.advance(20).await;
                self.plyr.set("PLYR_UPSTREAMS", &upstreams(&self.scene, now, &self.net));
                self.plyr.start_or_end().await;
            }
            _ => {}
        }
        Ok(())
    }

    /// Starts it again where it died as it was told to.
    async fn revive(&mut self) -> Result<(), String> {
        let Some(status) = self.plyr.ended() else { return Ok(()) };
        if status.signal() != Some(SIGKILL)
            || !matches!(self.scene.trouble, Trouble::Death(..))
            || self.deaths > 0
        {
            return Err(format!("plyr ended by itself: {status}"));
        }
        self.deaths += 1;
        self.plyr.set("PLYR_SABOTAGE", &sabotage(&self.scene, None));
        self.outlive().await;
        self.plyr.start_or_end().await;
        Ok(())
    }

    /// Waits until the tables say what the oracle says, and looks at what must hold besides.
    async fn judge(&mut self) -> Result<String, String> {
        let truth = self.net.truth();
        let expected = Expected::of(&truth, "fm.plyr", PUBLIC_URL);
        let waited = self.agree(&expected).await?;
        let broken = found::broken_invariants(&self.plyr.db.pool).await.map_err(|error| error.to_string())?;
        if !broken.is_empty() {
            return Err(broken.join("\n"));
        }
        self.output(&["audit", "counts"]).await?;
        self.agree_on_names().await?;
        let rebuilt = self.output(&["rebuild"]).await?;
        if !rebuilt.contains(" 0 counts mended") {
            return Err(format!("a number was wrong: {rebuilt}"));
        }
        let audited = self.output(&["audit", "--all"]).await?;
        // A rebuild and a look at everything change nothing.
        self.agree(&expected)
            .await
            .map_err(|why| format!("after a rebuild and an audit: {why}\n{audited}"))?;
        let records: usize = truth
            .accounts
            .values()
            .filter_map(|account| account.repo.as_ref())
            .map(|repo| repo.records.len())
            .sum();
        Ok(format!(
            "{} accounts, {records} records, {} deaths; the truth {waited:.1?} after the last word",
            truth.accounts.len(),
            self.deaths
        ))
    }

    async fn agree(&mut self, expected: &Expected) -> Result<Duration, String> {
        let started = Instant::now();
        let (mut moved_at, mut hurried_at, mut before) = (started, started, Vec::new());
        let mut may_discover = !self.scene.loses_nothing();
        let patience = Duration::from_secs(super::number("PLYR_SIM_PATIENCE").unwrap_or(45));
        loop {
            self.revive().await?;
            let found = found::tables(&self.plyr.db.pool, expected, &self.scene).await;
            // The world has its servers on these threads.
            let differing = tokio::task::block_in_place(|| match found {
                Ok((found, known)) => differences(&expected.tables(&known), &found),
                Err(error) => vec![format!("the tables cannot be read: {error}")],
            });
            if differing.is_empty() {
                return Ok(started.elapsed());
            }
            if differing != before {
                (moved_at, before) = (Instant::now(), differing);
            } else if moved_at.elapsed() > patience {
                // Where a repo stands says more than what follows from it.
                let (repos, others): (Vec<&String>, Vec<&String>) =
                    before.iter().partition(|line| line.starts_with("repo ") || line.starts_with("actor "));
                let shown: Vec<&str> = repos.into_iter().chain(others).take(16).map(String::as_str).collect();
                let shown = shown.join("\n  ");
                let held = found::held(&self.plyr.db.pool, &before).await;
                return Err(format!(
                    "{} differences, none of which goes away:\n  {shown}\nheld of the first person:\n  {held}",
                    before.len()
                ));
            }
            if moved_at.elapsed() > DISCOVER_AFTER
                && std::mem::take(&mut may_discover)
                && before.iter().any(|line| {
                    (line.starts_with("actor ") || line.starts_with("repo ")) && line.contains(": missing")
                })
            {
                self.discover().await;
                moved_at = Instant::now();
            }
            if hurried_at.elapsed() > HURRY_EVERY {
                self.hurry().await;
                hurried_at = Instant::now();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Search finds everything by what it is called: the tables say what that is, and they are right.
    async fn agree_on_names(&self) -> Result<(), String> {
        let started = Instant::now();
        let patience = Duration::from_secs(super::number("PLYR_SIM_PATIENCE").unwrap_or(45));
        loop {
            let wrong =
                indexer::search::audit(&self.plyr.db.pool).await.map_err(|error| error.to_string())?;
            if wrong.is_empty() {
                return Ok(());
            }
            if started.elapsed() > patience {
                return Err(format!("search: {} wrong:\n  {}", wrong.len(), wrong.join("\n  ")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Of whom every word was lost, nobody can know: then their hosts are asked whom they have, as an operator would.
    async fn discover(&mut self) {
        // It would die where the other was to, each time.
        self.plyr.set("PLYR_SABOTAGE", &sabotage(&self.scene, None));
        for host in self.net.host_upstreams() {
            let host = host.replace("repos+ws", "http");
            // One that was begun before lists nobody who came since.
            self.output(&["backfill", "--anew", "--from", &host]).await.ok();
        }
    }

    /// Time passes: whoever held a job is known to be dead.
    async fn outlive(&self) {
        let sql = "update job set locked_until = now() where state = 'running'";
        sqlx::query(sql).execute(&self.plyr.db.pool).await.ok();
    }

    /// Time passes: what waits for a later hour is due.
    async fn hurry(&self) {
        let sql =
            "update job set run_at = now() where state = 'queued' and run_at > now() + interval '1 second'
                     and kind <> 'blob' and attempts < 8";
        sqlx::query(sql).execute(&self.plyr.db.pool).await.ok();
    }

    async fn output(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.plyr.command(arguments);
        // Not on a thread of the world's servers, which it asks.
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.map_err(|panic| panic.to_string())?.map_err(|error| error.to_string())?;
        let (said, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            Ok(said.into_owned())
        } else {
            Err(format!("{arguments:?}: {said}{errors}"))
        }
    }

    /// Where its log is kept for who wants to know.
    fn keep_log(&self) -> String {
        let path = format!("{}/sim-{}.log", env!("CARGO_TARGET_TMPDIR"), self.scene.seed);
        std::fs::copy(self.plyr.log(), &path).ok();
        path
    }
}

/// `PLYR_UPSTREAMS`.
fn upstreams(scene: &Scene, upstream: Upstream, net: &sim::Network) -> String {
    let mut all = match upstream {
        Upstream::Hosts => net.host_upstreams(),
        Upstream::Relay => net.relay_upstreams(),
        Upstream::Jetstream1 => net.jetstream_upstreams(1),
        Upstream::Jetstream2 => net.jetstream_upstreams(2),
        Upstream::Both => [net.relay_upstreams(), net.jetstream_upstreams(2)].concat(),
    };
    if scene.trouble == Trouble::DeadFirst {
        // Nobody listens at a port that was free a moment ago.
        all.insert(0, format!("repos+ws://127.0.0.1:{}", crate::world::plyr::free_port()));
    }
    all.join(",")
}

/// `PLYR_SABOTAGE`: what is planted from outside, and where it shall die.
fn sabotage(scene: &Scene, death: Option<String>) -> String {
    let planted = std::env::var("PLYR_SABOTAGE").ok();
    let twist = scene.has_short_stretches().then(|| "short-stretches".to_owned());
    planted.into_iter().chain(twist).chain(death).collect::<Vec<_>>().join(",")
}
