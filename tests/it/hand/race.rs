//! Like and unlike, at once, from two processes, while their echoes come late and twice.

use std::time::Duration;

use futures_util::future::join_all;

use super::Stage;
use crate::world::agent::Answer;
use crate::world::{Person, run};

/// A small generator of the tests' own: the same wishes in every run, so that only time makes the difference.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

async fn tap(person: &Person, path: &str, like: bool) -> Answer {
    if like { person.post(path).await } else { person.delete(path).await }
}

/// A few wishes at once, each after a moment of its own.
async fn race(dice: &mut Dice, people: &[Person; 2], path: &str) -> Vec<(bool, Answer)> {
    let taps = (0..2 + dice.roll(4)).map(|_| {
        let (like, person) = (dice.roll(2) == 0, &people[dice.roll(2) as usize]);
        let pause = Duration::from_micros(dice.roll(30_000));
        async move {
            tokio::time::sleep(pause).await;
            (like, tap(person, path, like).await)
        }
    });
    join_all(taps.collect::<Vec<_>>()).await
}

#[test]
fn the_last_intention_stands_after_two_hundred_races() {
    run(async {
        let stage = Stage::set().await;
        let twin = stage.plyr.twin().await;
        let people = [stage.person.at(&stage.plyr), stage.person.at(&twin)];
        stage.gate.stream(Duration::from_millis(300), 2);
        let (mut dice, path) = (Dice(0x2545_f491_4f6c_dd1d), stage.like_path());
        for round in 0..200 {
            let answers = race(&mut dice, &people, &path).await;
            for (_, answer) in &answers {
                answer.good();
            }
            // Nobody knows who was last; but it is one truth, in all places, and if all wished the same, it is that.
            let there = stage.likes_there().await;
            assert_eq!(stage.likes_here().await, Ok(there.clone()), "round {round}");
            if answers.iter().all(|(like, _)| *like == answers[0].0) {
                assert_eq!(there.len(), usize::from(answers[0].0), "round {round}");
            }
            // The last one, begun when all others had been answered.
            let like = dice.roll(2) == 0;
            let answer = tap(&people[dice.roll(2) as usize], &path, like).await;
            assert_eq!(answer.good()["liked"], like, "round {round}");
            let there = stage.likes_there().await;
            assert_eq!(there.len(), usize::from(like), "round {round}");
            assert_eq!(stage.likes_here().await, Ok(there), "round {round}");
        }
        // Late echoes of older commits change nothing.
        let there = stage.likes_there().await;
        stage.await_echo().await;
        stage.gate.stream(Duration::ZERO, 1);
        stage
            .person
            .account
            .create_record("fm.plyr.comment", crate::world::pds::comment(&stage.track, "the end", 0))
            .await;
        stage.plyr.await_counts(&stage.track.0, Some([there.len() as i64, 1, 0])).await;
        assert_eq!(stage.likes_here().await, Ok(there));
        stage.await_settled().await;
    });
}

/// The same on many tracks and people at once: nobody waits for another's wish, and nobody's is lost.
#[test]
fn many_people_race_at_once() {
    run(async {
        let stage = Stage::set().await;
        stage.gate.stream(Duration::from_millis(100), 2);
        let mut fans = Vec::new();
        for _ in 0..8 {
            fans.push(crate::world::Account::create(&stage.net, "racer").await);
        }
        let people = Person::sign_in_all(&stage.plyr, &fans).await;
        let path = stage.like_path();
        let ends = people.iter().enumerate().map(|(number, person)| {
            let (stage, path, mut dice) = (&stage, &path, Dice(number as u64 + 1));
            async move {
                let pair = [person.at(&stage.plyr), person.at(&stage.plyr)];
                let mut last = false;
                for _ in 0..10 {
                    race(&mut dice, &pair, path).await.iter().for_each(|(_, answer)| drop(answer.good()));
                    last = dice.roll(2) == 0;
                    assert_eq!(tap(person, path, last).await.good()["liked"], last);
                }
                last
            }
        });
        let ends = join_all(ends).await;
        let mut liking = 0;
        for (person, last) in people.iter().zip(&ends) {
            let there = person.account.list_records("fm.plyr.like").await;
            assert_eq!(there.len(), usize::from(*last), "{}", person.account.handle);
            liking += there.len() as i64;
        }
        stage.plyr.await_counts(&stage.track.0, Some([liking, 0, 0])).await;
        stage.await_settled().await;
    });
}
