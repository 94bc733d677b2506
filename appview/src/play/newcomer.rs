//! Listeners whom nobody here knew until a token of their PDS named them.

use std::time::Duration;

use indexer::apply::account;
use indexer::change::Status;
use indexer::pds::{self, PdsError};
use indexer::syntax::Did;

use crate::App;
use crate::error::Error;
use crate::session::Nobody;

/// Their PDS waits for our answer meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes somebody known, once their PDS says that they have an account there and that it is active: what they heard counts from
/// now on, and who they are is looked up. Refused where they have none; where nobody can say, it may be told again.
pub(super) async fn admit(app: &App, did: &Did, caller: Option<&str>) -> Result<(), Error> {
    let own = caller.map_or(Ok(0), |caller| app.limits.newcomers.take(caller));
    if own.and_then(|_| app.limits.newcomers_of_all.take("all")).is_err() {
        return Err(Error::overloaded("too many newcomers are met now"));
    }
    let asked = tokio::time::timeout(PATIENCE, standing(app, did)).await;
    let unknown = |cause| Error::unreachable("the standing of the account cannot be asked for now", cause);
    match asked {
        Ok(Ok(Some(Status::Active))) => {}
        Ok(Ok(Some(_))) => return Err(Nobody::Inactive.into()),
        Ok(Ok(None)) => return Err(unknown(anyhow::anyhow!("a word that says nothing"))),
        Ok(Err(error)) if error.is_transient() => return Err(unknown(error.into())),
        Ok(Err(error)) => {
            tracing::info!(%did, %error, "a listener without an account");
            return Err(Nobody::Inactive.into());
        }
        Err(elapsed) => return Err(unknown(elapsed.into())),
    }
    account::acquaint(&app.sessions.indexer().door, did).await?;
    Ok(())
}

/// The document is at hand: the token was held against it.
async fn standing(app: &App, did: &Did) -> Result<Option<Status>, PdsError> {
    let indexer = app.sessions.indexer();
    let document = indexer.identity.document(did).await?;
    pds::get_repo_status(indexer, &document).await
}
