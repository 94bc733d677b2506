//! plyr dies between the write at the PDS and its own.

use super::Stage;
use crate::world::gate::Hold;
use crate::world::{eventually, run, same};

/// Begins a request that nobody will be there to answer, and waits until the gate holds what comes of it.
async fn die_during(stage: &mut Stage, held: Hold, like: bool) {
    let request = stage
        .person
        .request(if like { "POST" } else { "DELETE" }.parse().expect("a method"), &stage.like_path());
    let request = stage.person.agent.dressed(request);
    let asked = tokio::spawn(stage.person.agent.http.execute(request));
    held.arrived().await;
    stage.plyr.kill();
    held.release();
    asked.await.expect("it ends").expect_err("nobody was there to answer");
}

#[test]
fn a_like_survives_its_writer() {
    run(async {
        let mut stage = Stage::set().await;
        for (like, with_echo) in [(true, false), (false, false), (true, true), (false, true)] {
            // Without the echo only the wish itself can tell what happened.
            if !with_echo {
                stage.gate.hold_stream();
            }
            let method = if like { "com.atproto.repo.putRecord" } else { "com.atproto.repo.deleteRecord" };
            let held = stage.gate.hold_answer(&[method, "fm.plyr.like"]);
            die_during(&mut stage, held, like).await;
            assert_eq!(stage.likes_there().await.len(), usize::from(like), "the PDS had done it");
            stage.plyr.start().await;
            let there = stage.await_likes(usize::from(like)).await;
            stage.await_settled().await;
            // The same tap again is no second like.
            if like {
                let again = stage.person.post(&stage.like_path()).await.good();
                assert_eq!(again["atproto_uri"], there[0].as_str());
            }
            stage.gate.release_stream();
            stage.await_echo().await;
            assert_eq!(stage.await_likes(usize::from(like)).await, there);
        }
    });
}

/// Kills the process whose request has left and not arrived, and starts another.
async fn die_while_the_like_is_on_its_way(stage: &mut Stage) -> Hold {
    let held = stage.gate.hold_request(&["com.atproto.repo.putRecord", "fm.plyr.like"]);
    let slow = held.clone();
    let request = stage.person.agent.dressed(stage.person.request(reqwest::Method::POST, &stage.like_path()));
    let asked = tokio::spawn(stage.person.agent.http.execute(request));
    held.arrived().await;
    stage.plyr.kill();
    asked.await.expect("it ends").expect_err("nobody was there to answer");
    stage.plyr.start().await;
    slow
}

/// The dead process's request is still on its way; meanwhile the person has changed their mind.
#[test]
fn a_write_that_lands_after_its_writer_is_overruled() {
    run(async {
        let mut stage = Stage::set().await;
        let slow = die_while_the_like_is_on_its_way(&mut stage).await;
        let person = stage.person.at(&stage.plyr);
        let path = stage.like_path();
        let unlike = tokio::spawn(async move { person.delete(&path).await });
        eventually("the new wish", || async {
            same(stage.plyr.db.number("select max(generation) from intent").await, 2)
        })
        .await;
        slow.release();
        eventually("the late write", || async { same(stage.likes_there().await.len(), 1) }).await;
        assert_eq!(unlike.await.expect("it ends").good()["liked"], false);
        stage.await_likes(0).await;
        stage.await_echo().await;
        stage.await_likes(0).await;
    });
}

/// The same, but it lands when the new wish is settled long since: somebody looks once more.
#[test]
fn a_write_that_lands_after_the_last_word_is_taken_back() {
    run(async {
        let mut stage = Stage::set().await;
        let slow = die_while_the_like_is_on_its_way(&mut stage).await;
        let person = stage.person.at(&stage.plyr);
        assert_eq!(person.delete(&stage.like_path()).await.good()["liked"], false);
        stage.await_likes(0).await;
        slow.release();
        eventually("the late write", || async { same(stage.likes_there().await.len(), 1) }).await;
        stage.await_likes(0).await;
        stage.await_echo().await;
        stage.await_likes(0).await;
    });
}
