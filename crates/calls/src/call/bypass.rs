//! Calls that no AI stands before: those to numbers that reach help, and whatever else `routes` sends straight to a trunk. No rule, no consent,
//! no recording, no limit of ours is in their way; the trunk's answer is the caller's, and so is its refusal.

use super::Call;
use crate::{Source, step::Step};
use core::time::Duration;
use policy::{OnFailure, To, TransferOptions, Whisper};

/// How long the other side may ring: a proxy gives up at about that time, too (RFC 3261 section 16.6, timer C).
const RINGING: Duration = Duration::from_secs(180);

/// As the user of a `sip:` URI (RFC 3261 section 25.1): whatever was dialled names nobody's host.
fn user(called: &str) -> String {
    let mut user = String::with_capacity(called.len());
    for byte in called.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            user.push(char::from(byte));
        } else {
            user.push_str(&format!("%{byte:02X}"));
        }
    }
    user
}

impl Call {
    /// Whether this call is one of them.
    pub(super) fn goes_straight(&self) -> bool {
        !self.about.bypass.is_empty()
    }

    /// Dials what the caller dialled, through the trunks of its route.
    pub(super) fn go_straight(&mut self, step: &mut Step<'_>) {
        let options = TransferOptions {
            ring_timeout: Some(RINGING),
            whisper: Some(Whisper::None),
            accept: Some(None),
            introduce: Some(None),
            context: Some(Vec::new()),
            context_wait: Some(Duration::ZERO),
            on_failure: Some(OnFailure::always(vec![policy::Step::End])),
            ..TransferOptions::default()
        };
        let target = self.straight_target(step);
        // A URI needs no word of the rules, and a call that has just come has no transfer.
        if let Ok(spec) = step.rules.transfer(&To::Uri(target.into()), &options) {
            let _ = self.begin_transfer(step, Source::Bypass, spec);
        }
    }

    /// A number as `tel:`, which each trunk is then written in its own way; a service as it is; a name at the trunk's host.
    fn straight_target(&self, step: &Step<'_>) -> String {
        let called = &self.about.to;
        let digits = called.strip_prefix('+').unwrap_or(called);
        if called.starts_with("urn:") {
            return called.clone();
        }
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return format!("tel:{called}");
        }
        let trunk = self.about.bypass.first().and_then(|name| step.config.trunks.get(name));
        format!("sip:{}@{}", user(called), trunk.map(crate::trunks::authority).unwrap_or_default())
    }

    /// What a caller is refused with when nobody is left: what the last way said, where they called it themselves.
    pub(super) fn refusal(&self) -> u16 {
        let said = self.transfer.as_ref().filter(|transfer| transfer.is_bypass());
        said.and_then(|transfer| transfer.last_failure()?.1).filter(|code| *code >= 400).unwrap_or(480)
    }
}
