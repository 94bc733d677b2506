//! The cookies: the session, a mark that there is one, and the browser of a sign-in under way.

use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::App;
use crate::oauth::secret::Secret;
use crate::session::{COOKIE_NAME, cookie};

/// For answers that hold or depend on a credential.
pub(super) const NO_STORE: [(HeaderName, HeaderValue); 1] =
    [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// Ties a sign-in to the browser that began it.
const BROWSER_NAME: &str = "auth_browser";
/// As long as a sign-in may take.
const BROWSER_LIFE_S: i64 = 600;
/// Readable by the page, so that it asks who is signed in only where somebody may be.
const MARK_NAME: &str = "signed_in";

/// The browser of a sign-in, as its cookie says.
pub(super) fn browser(headers: &HeaderMap) -> Option<Secret> {
    Secret::read(cookie(headers, BROWSER_NAME)?)
}

/// The cookie that says it. Sign-ins begun side by side share it.
pub(super) fn keep_browser(app: &App, browser: &Secret) -> anyhow::Result<HeaderValue> {
    let secure = secure(app);
    sensitive(format!(
        "{BROWSER_NAME}={}; Path=/auth; Max-Age={BROWSER_LIFE_S}; HttpOnly; SameSite=Lax{secure}",
        browser.as_str()
    ))
}

/// Signs the browser in.
pub(super) fn sign_in(app: &App, session: &Secret, headers: &mut HeaderMap) -> anyhow::Result<()> {
    set(app, headers, session.as_str(), "1", app.sessions.life().num_seconds())
}

/// And out.
pub(super) fn sign_out(app: &App, headers: &mut HeaderMap) -> anyhow::Result<()> {
    set(app, headers, "", "", 0)
}

fn set(app: &App, headers: &mut HeaderMap, session: &str, mark: &str, life_s: i64) -> anyhow::Result<()> {
    let common = format!("Path=/; Max-Age={life_s}; SameSite=Lax{}", secure(app));
    headers.append(SET_COOKIE, sensitive(format!("{COOKIE_NAME}={session}; {common}; HttpOnly"))?);
    headers.append(SET_COOKIE, sensitive(format!("{MARK_NAME}={mark}; {common}"))?);
    Ok(())
}

fn secure(app: &App) -> &'static str {
    if app.options.public_url.scheme() == "https" { "; Secure" } else { "" }
}

fn sensitive(value: String) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::try_from(value)?;
    value.set_sensitive(true);
    Ok(value)
}
