//! To be operated: embedded Postgres, metrics, health, a stop that finishes.

use std::process::Stdio;

use crate::world::plyr::{binary, free_port, terminate};
use crate::world::postgres::data_dir;
use crate::world::{Account, Plyr, eventually, network, pds, run, same};

#[test]
fn metrics_and_health_tell_how_it_is() {
    run(async {
        let net = network();
        let mut plyr = Plyr::up(net).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("counted").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        assert_eq!(plyr.get("/health/live").await.status(), 200);
        assert_eq!(plyr.get("/health/ready").await.status(), 200);
        let metrics =
            pds::http().get(format!("{}/metrics", plyr.metrics_url)).send().await.expect("an answer");
        let text = metrics.text().await.expect("text");
        for name in [
            "plyr_events_total",
            "plyr_source_connected",
            "plyr_source_lag_seconds",
            "plyr_changes_total",
            "plyr_problems",
            "plyr_pool_connections",
        ] {
            assert!(text.contains(name), "no {name} in\n{text}");
        }
        let cursor = plyr.db.number("select count(*) from source where cursor is not null").await;
        assert_eq!(cursor, 1);
        assert!(plyr.terminate().await.success(), "{}", plyr.read_log());
    });
}

/// Without DATABASE_URL plyr runs a Postgres of its own; killed, it finds it again with everything in it.
#[test]
fn it_brings_its_own_postgres() {
    run(async {
        let net = network();
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("kept").await;
        let (data, port) = (data_dir(), free_port());
        let spawn = || {
            let log = std::fs::File::options()
                .create(true)
                .append(true)
                .open(data.path().join("log"))
                .expect("a log");
            binary()
                .arg("up")
                .env("PLYR_DATA_DIR", data.path())
                .env("PLYR_LISTEN", format!("127.0.0.1:{port}"))
                .env("PLYR_METRICS_LISTEN", "off")
                .env("PLYR_PLC_URL", &net.plc)
                .env("PLYR_UPSTREAMS", net.upstream())
                .env("PLYR_PRIVATE_HOSTS", format!("localhost:{}", net.pds_port))
                .env("PLYR_HANDLE_RESOLVER_URL", &net.pds)
                .stderr(log.try_clone().expect("a log"))
                .stdout(log)
                .stdin(Stdio::null())
                .spawn()
                .expect("it runs")
        };
        let http = pds::http();
        let has_track = || async {
            let url = format!("http://127.0.0.1:{port}/xrpc/fm.plyr.feed.getTracks");
            let answer =
                http.get(url).query(&[("uris", &track.0)]).send().await.map_err(|error| error.to_string())?;
            let text = answer.text().await.map_err(|error| error.to_string())?;
            same(text.contains("\"title\":\"kept\""), true).map_err(|_| text)
        };
        let mut first = spawn();
        eventually("the track", &has_track).await;
        first.kill().expect("it lived");
        first.wait().expect("it ended");
        let mut second = spawn();
        eventually("the track again", &has_track).await;
        terminate(second.id());
        assert!(second.wait().expect("it ends").success());
        // The last one to leave stops it.
        assert_eq!(processes_naming(&data.path().display().to_string()), Vec::<String>::new());
    });
}

/// Command lines of live processes that hold this text.
fn processes_naming(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
    let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(text)).collect()
}
