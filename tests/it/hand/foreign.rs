//! Other programs at the same repo: their likes are the person's likes, and theirs to take back here.

use super::{Stage, text};
use crate::world::run;

#[test]
fn a_like_of_another_app_is_no_second_one() {
    run(async {
        let stage = Stage::set().await;
        let (uri, _) = stage.person.account.like(&stage.track).await;
        stage.await_echo().await;
        assert_eq!(stage.await_likes(1).await, [uri.as_str()]);
        assert_eq!(stage.person.post(&stage.like_path()).await.good()["atproto_uri"], uri);
        stage.await_likes(1).await;
        stage.person.delete(&stage.like_path()).await.good();
        assert_eq!(stage.likes_there().await, [""; 0]);
        stage.await_likes(0).await;
    });
}

#[test]
fn two_likes_of_other_apps_are_taken_back_at_once() {
    run(async {
        let stage = Stage::set().await;
        for _ in 0..2 {
            stage.person.account.like(&stage.track).await;
        }
        stage.await_echo().await;
        assert_eq!(stage.plyr.counts(&stage.track.0).await, Some([1, 0, 0]));
        assert_eq!(stage.person.delete(&stage.like_path()).await.good()["liked"], false);
        assert_eq!(stage.likes_there().await, [""; 0]);
        stage.await_likes(0).await;
    });
}

#[test]
fn a_like_taken_back_elsewhere_can_be_given_again() {
    run(async {
        let stage = Stage::set().await;
        for _ in 0..3 {
            let uri = text(&stage.person.post(&stage.like_path()).await.good()["atproto_uri"]);
            stage.person.account.delete_record(&uri).await;
            stage.await_echo().await;
            stage.await_likes(0).await;
        }
        stage.person.post(&stage.like_path()).await.good();
        stage.await_likes(1).await;
    });
}
