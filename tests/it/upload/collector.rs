//! The collector: what is named stays, what is not goes, whoever adds the same bytes meanwhile.

use std::time::Duration;

use appview::collector::{GRACE, collect, collect_leftovers};
use appview::store::BlobStore;

use super::{Form, artist_at, assert_in_step, completed, files, sound};
use crate::world::network::Network;
use crate::world::{Plyr, pds, run};

/// Two passes without grace: the first frees what the second removes.
pub async fn collect_now(plyr: &Plyr) {
    let store = BlobStore::new(plyr.data.path().join("media"));
    for _ in 0..2 {
        collect(&plyr.db.pool, &store, Duration::ZERO).await.expect("collected");
        collect_leftovers(&plyr.db.pool, &store, Duration::ZERO).await.expect("collected");
    }
}

#[test]
fn what_is_named_stays_and_grace_is_kept() {
    run(async {
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        let artist = artist_at(&net, &plyr).await;
        let form = Form::new("kept", sound::mp3()).file("image", "c", sound::picture("300x300", "jpg"));
        let last = completed(&plyr, &form.accepted(&artist).await).await;
        super::await_still(&plyr).await;
        let store = BlobStore::new(plyr.data.path().join("media"));
        let leftover = format!("blobs/ab/cd/abcd{}", "0".repeat(60));
        let path = plyr.data.path().join("media").join(&leftover);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, b"of a crash").expect("written");
        assert_eq!(files(&plyr).len(), 5);
        // Within its time of grace, nothing goes.
        for _ in 0..2 {
            let grace = Duration::from_secs(3600);
            assert_eq!(collect(&plyr.db.pool, &store, grace).await.expect("collected"), 0);
            assert_eq!(collect_leftovers(&plyr.db.pool, &store, grace).await.expect("collected"), 0);
        }
        assert_eq!(files(&plyr).len(), 5);
        // What a record has named has a month, the picture as given a day.
        assert_eq!(plyr.db.number("select count(*) from blob where was_named").await, 3);
        for (hours, gone) in [(23, 0), (2, 1)] {
            sqlx::query("update blob set unused_since = unused_since - make_interval(hours => $1)")
                .bind(hours)
                .execute(&plyr.db.pool)
                .await
                .expect("time passes");
            assert_eq!(collect(&plyr.db.pool, &store, GRACE).await.expect("collected"), gone, "{hours}");
        }
        assert_eq!(files(&plyr).len(), 4);
        // The leftover; audio, cover and thumbnail stay.
        collect_now(&plyr).await;
        assert_eq!(files(&plyr).len(), 3);
        assert_in_step(&plyr).await;
        // Somebody who is switched off for a time loses nothing.
        artist.account.deactivate().await;
        crate::world::eventually("the track to be hidden", || async {
            let uri = last["atproto_uri"].as_str().expect("a uri");
            crate::world::same(plyr.track(uri).await.is_none(), true)
        })
        .await;
        collect_now(&plyr).await;
        assert_eq!(files(&plyr).len(), 3);
    });
}

/// One person deletes while another uploads the same bytes, and the collector never rests.
#[test]
fn bytes_that_come_and_go_at_once_are_never_lost() {
    run(async {
        let net = Network::start(&[]);
        let plyr = Plyr::up_with(&net, &[("PLYR_RATE_UPLOAD", "1000/minute")]).await;
        let (one, other) = (artist_at(&net, &plyr).await, artist_at(&net, &plyr).await);
        let bytes = sound::mp3();
        let form = Form::new("back and forth", bytes.clone());
        let store = BlobStore::new(plyr.data.path().join("media"));
        let pool = plyr.db.pool.clone();
        let collecting = tokio::spawn(async move {
            loop {
                collect(&pool, &store, Duration::ZERO).await.expect("collected");
                collect_leftovers(&pool, &store, Duration::ZERO).await.expect("collected");
            }
        });
        let mut last = completed(&plyr, &form.accepted(&one).await).await;
        for round in 0..8 {
            let (leaving, coming) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
            let path = format!("/tracks/{}", last["track_id"]);
            let (deleted, upload_id) = futures_util::join!(leaving.delete(&path), form.accepted(coming));
            deleted.good();
            last = completed(&plyr, &upload_id).await;
            let track = plyr.track(last["atproto_uri"].as_str().expect("a uri")).await.expect("it is shown");
            let url = track["audio"].as_str().unwrap_or_else(|| panic!("round {round}: no sound: {track}"));
            let heard = pds::http().get(url).send().await.expect("an answer").bytes().await.expect("bytes");
            assert_eq!(&heard[..], &bytes[..], "round {round}");
        }
        collecting.abort();
        super::await_still(&plyr).await;
        collect_now(&plyr).await;
        assert_in_step(&plyr).await;
        assert_eq!(files(&plyr).len(), 1);
    });
}
