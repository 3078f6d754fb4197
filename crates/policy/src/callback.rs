//! What has a meaning of its own where a destination is named: `callback` and `message`, unless a destination has that name.

use crate::{
    ruleset::RuleSet,
    transfer::{
        ColdBy, Destination, Dial, Mode, OnFailure, Place, Ring, Start, Step, TransferOptions, TransferSpec, Whisper,
    },
};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is said to a caller who will be called back, where nothing else is named.
pub const CALLBACK_PROMPT: &str = "callback";

/// The names that mean something without a destination of that name.
pub(crate) const OWN_PLACES: [&str; 2] = ["callback", "message"];

/// The caller is called back later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The list in which they wait; `None`: the line's own.
    pub list: Option<Arc<str>>,
    /// What is said to them; `None`: [`CALLBACK_PROMPT`].
    pub say: Option<Arc<str>>,
}

impl Callback {
    /// The prompt that is said.
    pub fn prompt(&self) -> Arc<str> {
        self.say.clone().unwrap_or_else(|| CALLBACK_PROMPT.into())
    }
}

/// What `name` means where no destination has it.
pub(crate) fn own_place(name: &str) -> Option<Destination> {
    let place = match name {
        "callback" => Place::Callback(Callback::default()),
        "message" => Place::Message,
        _ => return None,
    };
    Some(Destination { name: name.into(), place, hours: None, options: TransferOptions::default() })
}

impl RuleSet {
    /// What a rule decides with `callback`.
    pub(crate) fn callback_spec(&self, callback: &Callback, rule: Option<Arc<str>>) -> TransferSpec {
        let place = Place::Callback(callback.clone());
        let to = Destination { name: "callback".into(), place, hours: None, options: TransferOptions::default() };
        TransferSpec::merge(&to, rule, &TransferOptions::default(), &self.defaults)
    }

    /// An agent is rung to be joined with somebody who is called for them: nothing is said to them, and nothing follows a failure.
    pub fn ring_agent(&self, agent: &str, ring_timeout: Duration) -> TransferSpec {
        let targets = vec![format!("agent:{agent}").into()];
        let place = Place::Dial(Dial { targets, trunk: None, ring: Ring::Ordered });
        let to = Destination { name: agent.into(), place, hours: None, options: TransferOptions::default() };
        let overrides = TransferOptions {
            mode: Some(Mode::Cold),
            start: Some(Start::Now),
            ring_timeout: Some(ring_timeout),
            whisper: Some(Whisper::None),
            accept: Some(None),
            introduce: Some(None),
            cold_by: Some(ColdBy::Bridge),
            on_failure: Some(OnFailure::always(vec![Step::End])),
            ..TransferOptions::default()
        };
        TransferSpec::merge(&to, None, &overrides, &self.defaults)
    }
}
