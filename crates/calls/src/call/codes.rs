//! Feature codes: keys by which a party who talks asks for something (`*7` hands the caller back to the AI).

use super::{Call, Stage};
use crate::{CodeAct, HandbackBody, Party, Source, step::Step};
use clock::Monotonic;
use policy::{To, TransferOptions};
use serde::{Deserialize, Serialize};
use signaling::LegId;

/// Keys remembered of a leg: as many as the longest code has.
pub(crate) const LONGEST_CODE: usize = 8;

/// What a leg has keyed in lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keyed {
    leg: LegId,
    keys: String,
    last: Monotonic,
}

impl Call {
    /// A key of a party who talks; true when it completed a code, which has been acted on.
    pub(super) fn code(&mut self, step: &mut Step<'_>, leg: LegId, key: char) -> bool {
        let Some(party) = self.may_use_codes(leg) else { return false };
        let config = std::sync::Arc::clone(step.config);
        let codes = if party == Party::Caller { &config.codes.caller } else { &config.codes.human };
        if codes.is_empty() {
            return false;
        }
        let now = step.now.monotonic;
        let in_time = |keyed: &Keyed| now.since(keyed.last) <= config.codes.within;
        let at = self.keyed.iter().position(|keyed| keyed.leg == leg).unwrap_or_else(|| {
            self.keyed.retain(|keyed| in_time(keyed));
            self.keyed.push(Keyed { leg, keys: String::new(), last: now });
            self.keyed.len() - 1
        });
        let keyed = &mut self.keyed[at];
        if !in_time(keyed) {
            keyed.keys.clear();
        }
        if keyed.keys.len() >= LONGEST_CODE {
            keyed.keys.remove(0);
        }
        keyed.keys.push(key);
        keyed.last = now;
        let Some(code) = codes.iter().find(|code| keyed.keys.ends_with(&code.keys)) else { return false };
        self.keyed.remove(at);
        self.obey(step, leg, &code.keys, &code.act);
        true
    }

    /// The caller, and a human who has them: nobody else talks to anybody.
    fn may_use_codes(&self, leg: LegId) -> Option<Party> {
        let with_human = matches!(self.stage, Stage::WithHuman { .. }) && !self.goes_straight();
        if leg == self.caller && (with_human || self.stage == Stage::WithAi) {
            return Some(Party::Caller);
        }
        (with_human && self.human == Some(leg)).then_some(Party::Human)
    }

    fn obey(&mut self, step: &mut Step<'_>, leg: LegId, code: &str, act: &CodeAct) {
        let name = self.leg(leg).map(|it| it.record.name.clone()).unwrap_or_default();
        tracing::info!(call = %step.id, leg = name, code, "feature code");
        match act {
            CodeAct::HandBack => {
                let note = Some(format!("{name} pressed {code}"));
                // Without a human there is nobody to leave.
                let _ = self.hand_back(step, HandbackBody { disposition: None, note, to_ai: None });
            }
            CodeAct::Transfer(destination) => {
                let to = To::Name(destination.as_str().into());
                let within = self.commands < step.config.limits.transfers_per_call;
                match step.rules.transfer(&to, &TransferOptions::default()) {
                    Ok(spec) if within => {
                        let source = Source::FeatureCode { leg: name, code: code.to_owned() };
                        self.commands += usize::from(self.begin_transfer(step, source, spec).is_ok());
                    }
                    Ok(_) => tracing::warn!(call = %step.id, code, "this call has used up its transfers"),
                    Err(error) => tracing::warn!(call = %step.id, code, %error, "the rules know no such destination"),
                }
            }
        }
    }
}
