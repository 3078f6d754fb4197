//! What a human alone hears before the bridge, and how it is written.

use crate::duration;
use core::{ops::RangeInclusive, time::Duration};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most keys that one whisper tells.
pub(crate) const MOST_WHISPERED: usize = 16;
/// The longest task of an AI, and the longest key, in bytes.
pub(crate) const LONGEST_TASK: usize = 256;
const LONGEST_KEY: usize = 64;
/// How much of what a caller said last can be told.
pub(crate) const CLIP: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(15);

/// What the human alone hears before the bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Whisper {
    /// Nothing.
    #[default]
    None,
    /// A prompt by name.
    Prompt(Arc<str>),
    /// What is known of the caller, in recorded words.
    Context {
        /// The keys, in the order in which they are told.
        keys: Vec<Arc<str>>,
        /// A prompt before them.
        prompt: Option<Arc<str>>,
    },
    /// The AI, which hears the human alone, and what it is told to do.
    Ai(Arc<str>),
    /// What the caller said last, in their own voice.
    Clip {
        /// So much of it, pauses not counted.
        lasting: Duration,
        /// A prompt before it.
        prompt: Option<Arc<str>>,
    },
}

impl Whisper {
    /// How much of what the caller says has to be kept for it.
    pub(crate) fn words(&self) -> Option<Duration> {
        match self {
            Self::Clip { lasting, .. } => Some(*lasting),
            _ => None,
        }
    }
}

/// As it stands in a request: `"none"`, `{"prompt": …}`, `{"context": […]}`, `{"ai": …}`, `{"clip": "5s"}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Word(String),
    Fields(Fields),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Vec<Arc<str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ai: Option<Arc<str>>,
    #[serde(with = "duration::as_text::option", skip_serializing_if = "Option::is_none")]
    clip: Option<Duration>,
}

impl TryFrom<Written> for Whisper {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let fields = match written {
            Written::Word(word) if word == "none" => return Ok(Self::None),
            Written::Word(word) => return Err(format!("found `{word}`, expected `none` or an object")),
            Written::Fields(fields) => fields,
        };
        match fields {
            Fields { prompt, context: None, ai: None, clip: Some(lasting) } if CLIP.contains(&lasting) => {
                Ok(Self::Clip { lasting, prompt })
            }
            Fields { clip: Some(lasting), context: None, ai: None, .. } => {
                Err(format!("found a `clip` of {}, expected 1s to 15s", duration::text(lasting)))
            }
            Fields { prompt: Some(prompt), context: None, ai: None, clip: None } => Ok(Self::Prompt(prompt)),
            Fields { prompt, context: Some(keys), ai: None, clip: None } => {
                let good = |key: &Arc<str>| !key.is_empty() && key.len() <= LONGEST_KEY;
                if keys.is_empty() || keys.len() > MOST_WHISPERED || !keys.iter().all(good) {
                    return Err(format!("`context` takes 1 to {MOST_WHISPERED} keys of at most {LONGEST_KEY} bytes"));
                }
                Ok(Self::Context { keys, prompt })
            }
            Fields { prompt: None, context: None, ai: Some(task), clip: None } => match task.len() {
                1..=LONGEST_TASK => Ok(Self::Ai(task)),
                found => Err(format!("found a task of {found} bytes, expected 1 to {LONGEST_TASK}")),
            },
            _ => Err("expected `prompt`, `context` or `clip` (with a `prompt` perhaps), or `ai`".to_owned()),
        }
    }
}

impl From<Whisper> for Written {
    fn from(whisper: Whisper) -> Self {
        match whisper {
            Whisper::None => Self::Word("none".to_owned()),
            Whisper::Prompt(prompt) => Self::Fields(Fields { prompt: Some(prompt), ..Fields::default() }),
            Whisper::Context { keys, prompt } => {
                Self::Fields(Fields { prompt, context: Some(keys), ..Fields::default() })
            }
            Whisper::Clip { lasting, prompt } => {
                Self::Fields(Fields { prompt, clip: Some(lasting), ..Fields::default() })
            }
            Whisper::Ai(task) => Self::Fields(Fields { ai: Some(task), ..Fields::default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whisper_reads_back_as_written_and_nonsense_is_refused() {
        for written in [
            r#""none""#,
            r#"{"prompt":"incoming-handoff"}"#,
            r#"{"context":["intent","sentiment"]}"#,
            r#"{"prompt":"incoming-handoff","context":["intent"]}"#,
            r#"{"ai":"brief"}"#,
            r#"{"clip":"5s"}"#,
            r#"{"prompt":"incoming-handoff","clip":"1500ms"}"#,
        ] {
            let read: Whisper = serde_json::from_str(written).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), written);
        }
        let keys = serde_json::to_string(&vec!["k"; MOST_WHISPERED + 1]).unwrap();
        let long = "x".repeat(LONGEST_TASK + 1);
        for wrong in [
            r#""nothing""#.to_owned(),
            "{}".to_owned(),
            r#"{"context":[]}"#.to_owned(),
            r#"{"context":[""]}"#.to_owned(),
            format!(r#"{{"context":{keys}}}"#),
            r#"{"ai":""}"#.to_owned(),
            format!(r#"{{"ai":"{long}"}}"#),
            r#"{"ai":"brief","prompt":"x"}"#.to_owned(),
            r#"{"ai":"brief","context":["x"]}"#.to_owned(),
            r#"{"shout":"x"}"#.to_owned(),
            r#"{"clip":"16s"}"#.to_owned(),
            r#"{"clip":"0s","prompt":"x"}"#.to_owned(),
            r#"{"clip":5}"#.to_owned(),
            r#"{"clip":"5s","context":["x"]}"#.to_owned(),
            r#"{"clip":"5s","ai":"brief"}"#.to_owned(),
        ] {
            assert!(serde_json::from_str::<Whisper>(&wrong).is_err(), "{wrong}");
        }
    }
}
