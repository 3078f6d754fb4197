//! Section `agents.availability`: another system that says which agents are free.

use super::{
    people,
    reader::{Section, Wrong},
    sections::Places,
};
use std::{path::PathBuf, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// Section `agents.availability`.
#[derive(Clone)]
pub struct AskedElsewhere {
    /// Its address; `{agent}` stands for the agent who is asked about, and without it one answer tells of all.
    pub url: String,
    /// What it wants to be shown.
    pub token: Option<String>,
    /// The authorities that are believed, in PEM; the system's when absent.
    pub ca: Option<PathBuf>,
    /// How often it is asked.
    pub every: Duration,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How long an answer is believed when no other comes.
    pub keep: Duration,
}

impl std::fmt::Debug for AskedElsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AskedElsewhere({}, …)", self.url)
    }
}

/// Section `availability`; none where it is not written.
pub(super) fn availability(section: &mut Section<'_>, places: &Places) -> Option<(AskedElsewhere, calls::Unsaid)> {
    let mut asked = section.section("availability");
    if !asked.is_present() {
        return None;
    }
    let url = asked.required("url", web_address);
    let token = asked.optional("token_file", |text| people::password_of(&people::file_path(text, places)));
    let ca = asked.optional("ca", |text| Ok(people::file_path(text, places)));
    let every = asked.duration("every", SECOND * 15, SECOND..=SECOND * 3600);
    let timeout = asked.duration("timeout", SECOND * 2, SECOND / 10..=SECOND * 30);
    let keep = asked.duration("keep", SECOND * 60, SECOND..=SECOND * 86_400);
    let words = [("free", calls::Unsaid::Free), ("away", calls::Unsaid::Away)];
    let unknown = asked.word("unknown", calls::Unsaid::Free, &words);
    asked.done();
    let (token, ca) = (token.map(|placed| placed.value), ca.map(|placed| placed.value));
    Some((AskedElsewhere { url: url?.value, token, ca, every, timeout, keep }, unknown))
}

/// An address to be asked over HTTP.
fn web_address(text: &str) -> Result<String, Wrong> {
    let wrong = |why: String| Wrong::new(why).help("like `https://crm.example.com/agents/{agent}`");
    let uri: hyper::Uri = text
        .replace("{agent}", "agent")
        .parse()
        .map_err(|error| wrong(format!("`{text}` is not an address: {error}")))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
        return Err(wrong(format!("`{text}` is not an address of the web")));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Wrong::new("a password has no place in an address").help("`token_file` names the file of a token"));
    }
    Ok(text.to_owned())
}
