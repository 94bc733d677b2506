//! What `plyr lexicons` is asked for.

use clap::{Args, Subcommand};
use indexer::syntax::{Did, Handle, Nsid};
use url::Url;

use super::cli::Settings;
use super::{Command, read};

/// The variable of an account's app password. There is no flag for it: what is running, and with which arguments, is for
/// everybody on a machine to see.
pub(crate) const APP_PASSWORD: &str = "PLYR_APP_PASSWORD";

/// What to do with the lexicons.
#[derive(Debug, Clone, PartialEq)]
pub enum Lexicons {
    /// Name them.
    List {
        /// Those of other authorities, too.
        all: bool,
    },
    /// Print one.
    Show(Nsid),
    /// Write ours into a repo.
    Publish(Publish),
}

/// How the lexicons are published.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// Whose repo.
    pub account: Account,
    /// Their PDS, a bare origin; none to have it looked up.
    pub pds: Option<Url>,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// Remove from the repo what is ours no more.
    pub prune: bool,
    /// The app password, where it stands in the environment.
    pub password: Option<Password>,
}

/// An account, as the operator calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// By its DID.
    Did(Did),
    /// By its handle.
    Handle(Handle),
}

/// A password. Its debug form says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub(crate) String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum LexiconsText {
    /// Name the lexicons that are ours to publish, with what they say of themselves.
    #[command(after_help = "Example:\n  plyr lexicons list --all")]
    List {
        /// Those of other authorities that plyr reads or serves, too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Print one lexicon, as JSON.
    #[command(after_help = "Example:\n  plyr lexicons show fm.plyr.track")]
    Show {
        /// Its name.
        #[arg(value_name = "NSID")]
        nsid: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Write the lexicons that are ours into an account's repo, then exit.
    ///
    /// Each becomes a record of com.atproto.lexicon.schema, named by its NSID. What is there already and says the same is
    /// left alone, so this can be run after every upgrade. At the end it prints the DNS records that lead others to the
    /// repo: one for each group of names, as a domain does not speak for those below it.
    ///
    /// The app password is taken from PLYR_APP_PASSWORD; where that is not set, it is asked for on a terminal, or read
    /// from the standard input, a line. It is made in the account's settings; the account's own password does as well, if
    /// it has no second factor. A dry run needs none.
    #[command(after_help = "\
Examples:
  What would be done:
    plyr lexicons publish --handle plyr.fm --dry-run
  With the password from a file, and without what we publish no more:
    plyr lexicons publish --handle plyr.fm --prune < app-password.txt")]
    Publish(PublishText),
}

#[derive(Debug, Args)]
#[group(id = "account", required = true, multiple = false, args = ["handle", "did"])]
pub(super) struct PublishText {
    /// The account, by its handle.
    #[arg(long, value_name = "HANDLE")]
    handle: Option<String>,
    /// The account, by its DID.
    #[arg(long, value_name = "DID")]
    did: Option<String>,
    /// Its PDS, e.g. `https://pds.example`. [default: what its DID document says]
    #[arg(long, value_name = "URL")]
    pds: Option<String>,
    /// Print what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Remove the lexicons of our namespace from the repo that are not among ours any more. Lexicons of other namespaces are
    /// never touched.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    settings: Settings,
}

/// The command and its settings. `password` is what the environment holds.
pub(super) fn read(
    text: LexiconsText,
    password: Option<String>,
    errors: &mut Vec<String>,
) -> (Command, Settings) {
    let (lexicons, settings) = match text {
        LexiconsText::List { all, settings } => (Lexicons::List { all }, settings),
        LexiconsText::Show { nsid, settings } => match nsid.parse() {
            Ok(nsid) => (Lexicons::Show(nsid), settings),
            Err(_) => {
                errors.push(format!("NSID: `{nsid}`: not an NSID; write for example fm.plyr.track"));
                (Lexicons::List { all: false }, settings)
            }
        },
        LexiconsText::Publish(text) => {
            let PublishText { handle, did, pds, dry_run, prune, settings } = text;
            let by_did = read::did(did.as_ref(), errors).map(Account::Did);
            let account = by_did.or_else(|| read::handle(handle.as_ref(), errors).map(Account::Handle));
            let pds = read::pds(pds, errors);
            let password = password.filter(|text| !text.is_empty()).map(Password);
            let publish = account.map(|account| Publish { account, pds, dry_run, prune, password });
            // Without an account something is wrong, and said to be.
            (publish.map_or(Lexicons::List { all: false }, Lexicons::Publish), settings)
        }
    };
    (Command::Lexicons(lexicons), settings)
}
