//! The queries saved in `.sqlx/` are what the binary was compiled with; the migrations are what it meets.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use crate::world::{checkout, postgres::Database, run};

#[test]
fn every_saved_query_fits_the_migrated_schema() {
    run(async {
        let db = Database::create().await;
        indexer::MIGRATIONS.run(&db.pool).await.expect("the migrations run");
        let folder = std::fs::read_dir(checkout().join(".sqlx")).expect("saved queries");
        let mut checked = 0;
        for file in folder {
            let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
            let saved: Value = serde_json::from_str(&text).expect("JSON");
            let query = saved["query"].as_str().expect("a query").to_owned();
            let prepared = db.pool.prepare(AssertSqlSafe(query.clone()).into_sql_str()).await;
            prepared.unwrap_or_else(|error| panic!("{error}\n{query}\nrun `make sqlx`"));
            checked += 1;
        }
        assert!(checked > 50, "only {checked} saved queries");
    });
}

#[test]
fn every_table_that_is_copied_into_has_the_columns_named() {
    run(async {
        let db = Database::create().await;
        indexer::MIGRATIONS.run(&db.pool).await.expect("the migrations run");
        for target in indexer::copy::TARGETS {
            let mut db = db.pool.acquire().await.expect("a connection");
            let copy = db.copy_in_raw(target.statement).await;
            let copy = copy.unwrap_or_else(|error| panic!("{error}\n{}", target.statement));
            copy.abort("nothing comes").await.expect("it ends");
        }
    });
}
