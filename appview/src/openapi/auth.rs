//! Signing in and out: what `auth.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, anything, did, integer, list, named, object, text, time, url};
use crate::auth;

const TAG: &str = "sign-in";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let me = object(
        "Who is signed in.",
        [
            ("did", did("Who they are.")),
            ("handle", text("What they are called; `handle.invalid` where that is not known.")),
            ("display_name", text("Their display name.").or_null()),
            ("avatar_url", url("A picture of them.").or_null()),
            (
                "scope_missing",
                list(text("A scope."), "What the grant does not cover of what this server asks for."),
            ),
            ("linked_accounts", list(anything("An account."), "Always empty here.")),
            ("enabled_flags", list(text("A flag."), "Always empty here.")),
        ],
    );
    let token = object(
        "A token for a program.",
        [
            ("session_id", text("How its name begins, by which it can be revoked.")),
            ("name", text("What its owner calls it.").or_null()),
            ("created_at", time("Since when.")),
            ("expires_at", time("Until when.")),
        ],
    );
    vec![
        ("Me", me),
        ("DeveloperToken", token),
        ("Message", object("It is done.", [("message", text("What."))])),
    ]
}

/// `GET /auth/start`.
pub(crate) fn start() -> Operation {
    operation("startSignIn", TAG, "Begin to sign in")
        .about("For a browser, which is led to the account's authorization server.")
        .query("handle", text("A handle or a DID. Required where the request comes from a page of ours or from no page.").example("alice.example"))
        .query("return_to", text("The page where it ends: one of this server or of a listed web app.").at_most(auth::RETURN_TO_MAX_BYTES))
        .limited()
        .invalid()
        .leads(307, "To the authorization server; or to the same path at the name by which this server is known.")
        .leads(303, "To a page of ours: where another's page sent the browser here, or to say what went wrong, in `auth_error`.")
        .refuses(400, "`return_to` is no page of ours, or the account's server cannot be asked.")
}

/// `GET /auth/callback`.
pub(crate) fn callback() -> Operation {
    operation("finishSignIn", TAG, "Come back from an authorization server")
        .about("For a browser that an authorization server sends back. Ends on a page in any case.")
        .query("state", text("What the sign-in was begun with."))
        .query("code", text("What the session is had for."))
        .query("iss", text("Who says so."))
        .query("error", text("Why there is no code."))
        .leads(303, "To the page where the sign-in was to end: with a cookie, with an `exchange_token`, or with an `auth_error`.")
}

/// `POST /auth/exchange`.
pub(crate) fn exchange() -> Operation {
    let body = object(
        "A token.",
        [("exchange_token", text("From the address that the browser was led to; good once, for a minute."))],
    );
    let answer = object(
        "A session.",
        [("session_id", text("The session's token: a bearer token, and the value of the cookie."))],
    );
    operation("exchangeToken", TAG, "Have the session that a web app was sent away with")
        .about("Browsers are given the cookies as well.")
        .takes(body)
        .limited()
        .answers(answer)
        .refuses(401, "The token is unknown, used or too old.")
        .refuses(403, "The request comes from a page that is not ours.")
}

/// `POST /auth/logout`.
pub(crate) fn logout() -> Operation {
    operation("signOut", TAG, "End this session and the grant behind it").acts().answers(named("Message"))
}

/// `GET /auth/me`.
pub(crate) fn me() -> Operation {
    operation("whoAmI", TAG, "Who is signed in").needs_session().answers(named("Me"))
}

/// `POST /auth/developer-token/start`.
pub(crate) fn start_developer_token() -> Operation {
    let days =
        integer("For how long; 0 is for as long as the grant lasts.").within(0..=auth::DAYS_MAX.into());
    let body = object(
        "What is wished for.",
        [
            ("name", text("What to call it.").at_most(auth::NAME_MAX_CHARS).or_null().optional()),
            ("expires_in_days", days.default(auth::DAYS_DEFAULT).or_null().optional()),
        ],
    );
    operation("startDeveloperToken", TAG, "Begin to make a token for a program")
        .about("Made by signing in once more, as the same person.")
        .takes(body)
        .acts()
        .limited()
        .answers(object("Where to.", [("auth_url", url("Where to sign in."))]))
        .refuses(400, "Too many days, or the account's server cannot be asked.")
}

/// `GET /auth/developer-tokens`.
pub(crate) fn developer_tokens() -> Operation {
    let tokens = list(named("DeveloperToken"), "Those that are alive.");
    operation("listDeveloperTokens", TAG, "The viewer's tokens for programs")
        .needs_session()
        .answers(object("Tokens.", [("tokens", tokens)]))
}

/// `DELETE /auth/developer-tokens/{token_prefix}`.
pub(crate) fn revoke_developer_token() -> Operation {
    operation("revokeDeveloperToken", TAG, "Revoke a token of the viewer's own")
        .path("token_prefix", text("How its name begins: 4 hex digits or more."))
        .acts()
        .answers(named("Message"))
        .refuses(400, "Several begin so.")
        .refuses(404, "None begins so.")
}
