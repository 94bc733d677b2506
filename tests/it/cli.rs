//! The command line: help worth reading, and errors that say what to do.

use crate::world::plyr::binary;
use crate::world::{Plyr, network, run};

fn plyr(arguments: &[&str], settings: &[(&str, &str)]) -> (bool, String) {
    let output = binary().args(arguments).envs(settings.iter().copied()).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("text"))
}

#[test]
fn every_command_explains_itself() {
    let (good, text) = plyr(&["--help"], &[]);
    assert!(good, "{text}");
    for command in
        ["up", "index", "serve", "work", "migrate", "rebuild", "import-pages", "backfill", "problems"]
    {
        assert!(text.contains(&format!("\n  {command} ")), "--help does not name {command}: {text}");
        let (good, text) = plyr(&[command, "--help"], &[]);
        assert!(good && text.contains("DATABASE_URL") && text.contains("PLYR_DATA_DIR"), "{command}: {text}");
    }
}

#[test]
fn a_bad_setting_is_named() {
    for (name, value) in [
        ("PLYR_LISTEN", "everywhere"),
        ("PLYR_PUBLIC_URL", "ftp://x"),
        ("PLYR_UPSTREAMS", "gopher+ws://x"),
        ("PLYR_PLC_URL", "nowhere"),
        ("PLYR_NAMESPACE", "not an nsid"),
        ("PLYR_PRIVATE_HOSTS", "no-port"),
        ("PLYR_WEB_ORIGINS", "https://x/path"),
        ("PLYR_HANDLE_RESOLVER_URL", "x"),
        ("DATABASE_URL", "mysql://x"),
    ] {
        let (good, text) = plyr(&["up"], &[("PLYR_UPSTREAMS", "repos+wss://relay.example"), (name, value)]);
        assert!(!good && text.contains(name), "{name}={value}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    let (good, text) = plyr(&["up"], &[]);
    assert!(!good && text.contains("PLYR_UPSTREAMS"), "{text}");
}

#[test]
fn a_backfill_of_one_repo_says_what_it_did() {
    run(async {
        let net = network();
        let artist = crate::world::Account::create(net, "artist").await;
        artist.create_track("by hand").await;
        let plyr = Plyr::up(net).await;
        let output = plyr
            .command(&["backfill", &artist.did, "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"])
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.contains("1 read"), "{text}");
    });
}
