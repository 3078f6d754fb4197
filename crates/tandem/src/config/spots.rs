//! Where `tandem.yaml` names what lies in other files: destinations and hours of the rules, prompts and music. Whether they are there is
//! known only later; the place is then still to be shown.

use super::{
    problem::{Sources, shown},
    tree::{Node, Value},
};

/// The keys whose values are remembered with their places; `*` is a name of the operator's.
const NAMING: [&[&str]; 11] = [
    &["ai", "*", "on_ai_failure"],
    &["ai", "*", "after_human"],
    &["feature_codes", "*", "*"],
    &["campaigns", "*", "hours"],
    &["media", "prompts"],
    &["media", "music"],
    &["media", "hold_music"],
    &["media", "ai_lost_announcement"],
    &["media", "playlists", "*", "clips"],
    &["recording", "consent", "prompt"],
    &["voicemail", "mailboxes", "*", "greeting"],
];

/// Every such value.
#[derive(Clone, Debug, Default)]
pub struct Spots(Vec<Spot>);

/// A value, and where it was written.
#[derive(Clone, Debug)]
pub struct Spot {
    key: String,
    text: String,
    /// The file, or the environment variable.
    pub file: String,
    /// From 1; 0 for a variable.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// How many characters the value has.
    pub width: u32,
    /// The line itself.
    pub source: String,
}

impl Spots {
    pub(super) fn of(root: &Node, sources: &Sources) -> Self {
        let mut spots = Self::default();
        for path in NAMING {
            spots.walk(root, path, &mut Vec::new(), sources);
        }
        spots
    }

    /// Where the value of `key` names `name`, alone or behind a word like `announce:`.
    pub fn find(&self, key: &str, name: &str) -> Option<&Spot> {
        let names = |text: &str| text == name || text.split_once(':').is_some_and(|(_, named)| named == name);
        self.0.iter().find(|spot| spot.key == key && names(&spot.text))
    }

    /// Where `key` was written, whatever it says.
    pub fn of_key(&self, key: &str) -> Option<&Spot> {
        self.0.iter().find(|spot| spot.key == key)
    }

    fn walk<'a>(&mut self, node: &'a Node, path: &[&str], steps: &mut Vec<&'a str>, sources: &Sources) {
        match (&node.value, path.split_first()) {
            (Value::Map(entries), Some((step, rest))) => {
                for entry in entries.iter().filter(|entry| *step == "*" || entry.key == *step) {
                    steps.push(&entry.key);
                    self.walk(&entry.node, rest, steps, sources);
                    steps.pop();
                }
            }
            (Value::Sequence(items), None) => {
                for item in items {
                    self.walk(item, path, steps, sources);
                }
            }
            (Value::Scalar { text, .. }, None) => self.0.extend(spot(node, text, steps.join("."), sources)),
            _ => {}
        }
    }
}

fn spot(node: &Node, text: &str, key: String, sources: &Sources) -> Option<Spot> {
    let (place, source) = (node.place, sources.of(node.place)?);
    let line = source.text.lines().nth(place.line.saturating_sub(1) as usize).unwrap_or_default();
    Some(Spot {
        key,
        text: text.to_owned(),
        file: source.name.clone(),
        line: if source.variable { 0 } else { place.line },
        column: place.column,
        width: place.length,
        source: shown(line).replace('\t', " "),
    })
}
