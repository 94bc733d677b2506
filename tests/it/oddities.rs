//! Records that are lawful on the network and trouble for an index.

use serde_json::json;

use crate::world::{Account, Plyr, eventually, network, network::Network, pds, run, same};

/// The key of the record that is replaced: any TID.
const ODD_KEY: &str = "3jzfcijpj2z2a";

/// What `write_all` wrote.
pub struct Oddities {
    pub nul: String,
    pub large: String,
    pub unknown_fields: String,
    pub replaced: String,
    pub invalid: String,
}

/// A record with a NUL, one of 900 KB, one with fields nobody knows, one deleted and created again by one commit, and one
/// that its lexicon refuses.
pub async fn write_all(account: &Account) -> Oddities {
    let subject = account.create_track("odd company").await;
    let nul = account.create_record("fm.plyr.comment", pds::comment(&subject, "before\0after", 0)).await.0;
    let mut large = pds::comment(&subject, "large", 0);
    large["extra"] = json!("x".repeat(900_000));
    let large = account.create_record("fm.plyr.comment", large).await.0;
    let mut unknown = pds::comment(&subject, "from another app", 5);
    unknown["mood"] = json!({"$type": "app.other.mood", "colour": ["blue", 7]});
    let unknown_fields = account.create_record("fm.plyr.comment", unknown).await.0;
    let invalid = account.create_record("fm.plyr.comment", pds::comment(&subject, "", 0)).await.0;
    account.put_record("fm.plyr.comment", ODD_KEY, pds::comment(&subject, "before", 1)).await;
    let value = pds::comment(&subject, "after", 2);
    let answer = account
        .apply_writes(vec![
            json!({"$type": "com.atproto.repo.applyWrites#delete", "collection": "fm.plyr.comment", "rkey": ODD_KEY}),
            json!({"$type": "com.atproto.repo.applyWrites#create", "collection": "fm.plyr.comment", "rkey": ODD_KEY, "value": value}),
        ])
        .await;
    let replaced = answer["results"][1]["uri"].as_str().expect("a uri").to_owned();
    Oddities { nul, large, unknown_fields, replaced, invalid }
}

#[test]
fn each_is_kept_and_none_does_harm() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let account = Account::create(net, "odd").await;
        let odd = write_all(&account).await;
        let problem = |uri: String| {
            let pool = plyr.db.pool.clone();
            async move {
                sqlx::query_as::<_, (Option<String>, i32)>(
                    "select problem, length(value) from record where uri = $1",
                )
                .bind(uri)
                .fetch_optional(&pool)
                .await
                .expect("a row")
            }
        };
        eventually("the last of them", || async {
            let body = plyr.db.texts("select body from comment where uri like '%/3jzfcijpj2z2a'").await;
            same(body, vec!["after".to_owned()])
        })
        .await;
        let name = |row: Option<(Option<String>, i32)>| row.and_then(|row| row.0);
        assert_eq!(name(problem(odd.nul).await).as_deref(), Some("NulCharacter"));
        let large = problem(odd.large).await.expect("it is kept");
        assert!(large.0.as_deref() == Some("TooLarge") && large.1 > 900_000, "{large:?}");
        assert_eq!(problem(odd.unknown_fields.clone()).await.expect("it is kept").0, None);
        assert_eq!(problem(odd.replaced).await.expect("it is kept").0, None);
        assert_eq!(name(problem(odd.invalid).await).as_deref(), Some("InvalidRecord"));
        let shown = plyr.db.texts("select uri from comment order by uri").await;
        let shown: Vec<&String> = shown.iter().filter(|uri| uri.contains(&account.did)).collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown.contains(&&odd.unknown_fields));
        // The events themselves were in order.
        assert_eq!(
            plyr.db.texts("select kind from problem where did is not null and kind <> 'UnfitBlob'").await,
            Vec::<String>::new()
        );
    });
}

/// A record that the database refuses, for whatever reason, costs its neighbours in the commit and in the batch nothing.
#[test]
fn what_the_database_refuses_stands_alone() {
    run(async {
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        sqlx::query("alter table comment add constraint no_poison check (body <> 'poison')")
            .execute(&plyr.db.pool)
            .await
            .expect("a constraint");
        let account = Account::create(&net, "odd").await;
        let subject = account.create_track("a cup").await;
        let write = |text: &str| {
            let value = pds::comment(&subject, text, 0);
            json!({"$type": "com.atproto.repo.applyWrites#create", "collection": "fm.plyr.comment", "value": value})
        };
        let answer = account.apply_writes(vec![write("water"), write("poison"), write("wine")]).await;
        let refused = answer["results"][1]["uri"].as_str().expect("a uri").to_owned();
        account.create_record("fm.plyr.comment", pds::comment(&subject, "tea", 0)).await;
        plyr.await_counts(&subject.0, Some([0, 3, 0])).await;
        let aside = plyr
            .db
            .texts("select distinct uri from problem where kind = 'Refused' and length(bytes) > 0")
            .await;
        assert_eq!(aside, [refused]);
    });
}
