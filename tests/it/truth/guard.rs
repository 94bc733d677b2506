//! Documents name hosts, and anybody can write documents: none of them leads into our own network.

use serde_json::json;

use super::{Stand, Voice, document, standing};
use crate::world::network::Network;
use crate::world::{Account, Plyr, eventually, run, same};

#[test]
fn a_document_leads_to_no_private_host() {
    run(async {
        let net = Network::start(&[]);
        let voice = Voice::start().await;
        let (directory, secret) = (Stand::before(&net.plc).await, Stand::before(&net.direct).await);
        let listed = Stand::before(&net.direct).await;
        let hosts = format!("localhost:{0},127.0.0.1:{0},{1}", net.pds_port, listed.authority());
        let settings = [
            ("PLYR_UPSTREAMS", voice.beside(&net.upstream())),
            ("PLYR_PLC_URL", directory.url()),
            ("PLYR_PRIVATE_HOSTS", hosts),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let plyr = Plyr::up_with(&net, &settings).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("guarded").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        plyr.await_quiet().await;

        secret.says("getRepoStatus", 200, json!({"did": artist.did, "active": false, "status": "takendown"}));
        listed.leads("getRepoStatus", &format!("{}/xrpc/com.atproto.sync.getRepoStatus", secret.url()));
        let port = secret.port;
        let endpoints = [
            secret.url(),
            format!("http://localhost:{port}"),
            format!("http://2130706433:{port}"),
            format!("http://0x7f000001:{port}"),
            format!("http://[::ffff:127.0.0.1]:{port}"),
            // Listed, and it leads on.
            listed.url(),
        ];
        for endpoint in &endpoints {
            let mut document = document(&net.plc, &artist.did).await;
            document["service"][0]["serviceEndpoint"] = json!(endpoint);
            directory.says(&artist.did, 200, document);
            let questions = plyr.read_log().matches("a standing is not known").count();
            voice.account(&artist.did, "deactivated");
            eventually("a question without an answer", || async {
                same(plyr.read_log().matches("a standing is not known").count() > questions, true)
            })
            .await;
            assert_eq!(standing(&plyr, &artist.did).await.0, "active", "{endpoint}");
        }
        assert!(listed.asked("getRepoStatus") > 0);
        assert_eq!(secret.asked(""), 0, "somebody came through");
        assert!(plyr.track(&track.0).await.is_some());
    });
}

/// What a document may be like: two services, a did:web with a path. Named, and nothing ends.
#[test]
fn an_upstream_that_leads_elsewhere_is_not_followed() {
    run(async {
        let net = Network::start(&[]);
        let (leads, elsewhere) = (Stand::before(&net.direct).await, Stand::before(&net.direct).await);
        leads.leads("subscribeRepos", &format!("{}/xrpc/com.atproto.sync.subscribeRepos", elsewhere.url()));
        let upstreams = format!("{},repos+ws://{}", net.upstream(), leads.authority());
        let plyr = Plyr::up_with(&net, &[("PLYR_UPSTREAMS", &upstreams)]).await;
        eventually("two attempts", || async { same(leads.asked("subscribeRepos") >= 2, true) }).await;
        assert_eq!(elsewhere.asked(""), 0);
        let status = plyr.query("fm.plyr.sync.getStatus", &[]).await;
        let source = status["sources"].as_array().expect("sources").iter();
        let source = source
            .clone()
            .find(|source| source["key"].as_str().is_some_and(|key| key.ends_with(&leads.authority())));
        assert_eq!(source.expect("the source")["connected"], false);
    });
}
