//! What a switchboard tells of somebody's calls (RFC 4235): documents in, the calls that are up out.

use std::collections::BTreeSet;

/// Calls of one person that are kept apart; of more it is known only that there are many.
const MOST: usize = 256;
/// The longest name of a call that is kept.
const LONGEST: usize = 256;

/// The calls of one person, as documents tell of them.
#[derive(Debug, Default)]
pub(super) struct Dialogs {
    version: Option<u32>,
    /// Those that are not over.
    up: BTreeSet<Box<str>>,
}

/// Why a document told nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("no XML: {0}")]
    NoXml(String),
    #[error("the document is `{0}` and not `dialog-info`")]
    Another(String),
    #[error("`dialog-info` has no `{0}` that could be read")]
    Lacks(&'static str),
}

/// What follows from a document.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// So many calls are up.
    Up(usize),
    /// It is older than one that came before.
    Old,
    /// A part is missing before it: the whole is to be asked for (RFC 4235 section 4.2). So many are up as far as is known.
    Gap(usize),
}

impl Dialogs {
    /// Takes a document.
    pub(super) fn hear(&mut self, document: &[u8]) -> Result<Heard, Unread> {
        let text = core::str::from_utf8(document).map_err(|error| Unread::NoXml(error.to_string()))?;
        let tree = roxmltree::Document::parse(text).map_err(|error| Unread::NoXml(error.to_string()))?;
        let root = tree.root_element();
        if root.tag_name().name() != "dialog-info" {
            return Err(Unread::Another(root.tag_name().name().chars().take(40).collect()));
        }
        let version = root.attribute("version").and_then(|version| version.trim().parse().ok());
        let version: u32 = version.ok_or(Unread::Lacks("version"))?;
        let full = match root.attribute("state") {
            Some("full") => true,
            Some("partial") => false,
            _ => return Err(Unread::Lacks("state")),
        };
        if self.version.is_some_and(|last| version <= last) {
            return Ok(Heard::Old);
        }
        let gap = !full && self.version.is_none_or(|last| version > last.saturating_add(1));
        self.version = Some(version);
        if full {
            self.up.clear();
        }
        for dialog in root.children().filter(|node| node.tag_name().name() == "dialog") {
            let Some(id) = dialog.attribute("id").filter(|id| id.len() <= LONGEST) else { continue };
            let state = dialog.children().find(|node| node.tag_name().name() == "state");
            let state = state.and_then(|state| state.text()).unwrap_or_default().trim();
            if state == "terminated" {
                self.up.remove(id);
            } else if self.up.len() < MOST {
                self.up.insert(id.into());
            }
        }
        let up = self.up.len();
        Ok(if gap { Heard::Gap(up) } else { Heard::Up(up) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(version: u32, state: &str, dialogs: &[(&str, &str)]) -> String {
        let dialogs: String = dialogs
            .iter()
            .map(|(id, state)| {
                format!("<dialog id=\"{id}\" direction=\"recipient\"><state event=\"x\">{state}</state></dialog>")
            })
            .collect();
        format!(
            "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" state=\"{state}\" \
             entity=\"sip:carl@pbx.example\">{dialogs}</dialog-info>"
        )
    }

    fn hear(dialogs: &mut Dialogs, version: u32, state: &str, told: &[(&str, &str)]) -> Heard {
        dialogs.hear(document(version, state, told).as_bytes()).unwrap()
    }

    #[test]
    fn rfc4235_3_7_1_every_state_but_terminated_is_a_call_that_is_up() {
        for (state, up) in [("trying", 1), ("proceeding", 1), ("early", 1), ("confirmed", 1), ("terminated", 0)] {
            assert_eq!(hear(&mut Dialogs::default(), 0, "full", &[("a", state)]), Heard::Up(up), "{state}");
        }
        assert_eq!(hear(&mut Dialogs::default(), 0, "full", &[]), Heard::Up(0));
    }

    #[test]
    fn rfc4235_4_2_parts_change_what_they_name_and_a_whole_replaces_all() {
        let mut dialogs = Dialogs::default();
        assert_eq!(hear(&mut dialogs, 3, "full", &[("a", "confirmed"), ("b", "early")]), Heard::Up(2));
        assert_eq!(hear(&mut dialogs, 4, "partial", &[("b", "terminated"), ("c", "early")]), Heard::Up(2));
        assert_eq!(hear(&mut dialogs, 5, "partial", &[("a", "terminated")]), Heard::Up(1));
        assert_eq!(hear(&mut dialogs, 9, "full", &[]), Heard::Up(0), "a whole may come after a gap");
    }

    #[test]
    fn rfc4235_4_2_what_is_older_tells_nothing_and_a_gap_wants_the_whole() {
        let mut dialogs = Dialogs::default();
        hear(&mut dialogs, 3, "full", &[("a", "confirmed")]);
        assert_eq!(hear(&mut dialogs, 3, "full", &[]), Heard::Old);
        assert_eq!(hear(&mut dialogs, 2, "partial", &[("a", "terminated")]), Heard::Old);
        assert_eq!(hear(&mut dialogs, 5, "partial", &[("b", "early")]), Heard::Gap(2));
        assert_eq!(
            hear(&mut Dialogs::default(), 1, "partial", &[("b", "early")]),
            Heard::Gap(1),
            "no whole came before"
        );
    }

    #[test]
    fn documents_that_cannot_be_read_say_why_and_change_nothing() {
        let mut dialogs = Dialogs::default();
        hear(&mut dialogs, 1, "full", &[("a", "confirmed")]);
        assert_eq!(dialogs.hear(b"<presence/>"), Err(Unread::Another("presence".into())));
        assert_eq!(dialogs.hear(b"<dialog-info state=\"full\"/>"), Err(Unread::Lacks("version")));
        assert_eq!(dialogs.hear(b"<dialog-info version=\"2\"/>"), Err(Unread::Lacks("state")));
        for broken in [&b"hello"[..], b"", b"<dialog-info", b"\xff\xfe"] {
            assert!(matches!(dialogs.hear(broken), Err(Unread::NoXml(_))));
        }
        assert_eq!(hear(&mut dialogs, 2, "partial", &[]), Heard::Up(1));
    }

    #[test]
    fn a_flood_of_calls_is_bounded_and_entities_do_not_multiply() {
        let mut dialogs = Dialogs::default();
        let many: Vec<(String, &str)> = (0..1_000).map(|at| (at.to_string(), "confirmed")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(id, state)| (id.as_str(), *state)).collect();
        assert_eq!(hear(&mut dialogs, 1, "full", &many), Heard::Up(MOST));
        let laughs = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><dialog-info>&b;</dialog-info>";
        assert!(matches!(Dialogs::default().hear(laughs.as_bytes()), Err(Unread::NoXml(_))));
    }
}
