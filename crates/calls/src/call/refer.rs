//! REFER: a party asks that the caller be called away (RFC 3515, RFC 5589 section 6). From the AI or the human who has the
//! caller it becomes the transfer that a rule or a command would begin; whoever asked is told how it goes.

use super::{Call, Stage, handoff::NotNow};
use crate::{DecisionRecord, Happening, Party, Source, TransferRecord, TransferState, dial, step::Step};
use core::time::Duration;
use policy::{Cause, Explanation, Mode, OnFailure, ReleaseAi, To, TransferOptions};
use serde::{Deserialize, Serialize};
use signaling::{Command, LegId, ReferRequest};
use std::sync::Arc;

/// By then a human knows that they have the caller again.
const HEARD_OF_IT: Duration = Duration::from_secs(3);

/// Who asked for the transfer under way, and what goes into the INVITE they asked for.
///
/// ```text
///  REFER ──refused (RefuseRefer)
///    └──202──> told each status of the transfer ──bridged──> 200, and a human who asked leaves
///                                               └─failed───> its status, and a human who is still there has the caller again
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Referrer {
    leg: LegId,
    /// Of the dialog they asked in.
    usage: LegId,
    /// Whom they named: the headers are for nobody else.
    to: Arc<str>,
    headers: Vec<(String, String)>,
}

impl Call {
    /// A party of the call asks that the caller be called away.
    pub(crate) fn refer(&mut self, step: &mut Step<'_>, usage: LegId, refer: ReferRequest) {
        let leg = self.of_usage(usage);
        let name = leg.and_then(|leg| self.leg(leg)).map(|it| it.record.name.clone()).unwrap_or_default();
        let to = refer.to.clone();
        let taken = leg.ok_or(481).and_then(|leg| self.take_refer(step, leg, usage, refer));
        if let Err(status) = taken {
            step.signaling(Command::RefuseRefer { leg: usage, status });
            step.publish(Happening::ReferRefused { leg: name, to, sip_code: status });
        }
        self.settle(step);
    }

    /// The status that refuses it is for whoever asked.
    fn take_refer(&mut self, step: &mut Step<'_>, leg: LegId, usage: LegId, refer: ReferRequest) -> Result<(), u16> {
        let it = self.leg(leg).filter(|it| it.is_up()).ok_or(481_u16)?;
        let (party, name) = (it.party(), it.record.name.clone());
        if self.transfer.is_some() {
            return Err(491);
        }
        let has_the_caller = match self.stage {
            Stage::WithAi => self.ai == Some(leg),
            Stage::WithHuman { .. } => self.human == Some(leg),
            _ => false,
        };
        // A caller may not send us on; whoever has no caller has nobody to send.
        if !has_the_caller {
            return Err(603);
        }
        if self.commands >= step.config.limits.transfers_per_call {
            return Err(403);
        }
        let (to, profile) = self.referred_to(step, party, &refer)?;
        let direct = matches!(to, To::Uri(_));
        let options = TransferOptions {
            // Whoever asked hears of the outcome before they leave.
            release_ai: (party == Party::Ai).then_some(ReleaseAi::AtBridge),
            // A phone's transfer rings the other phone, and what is left of it comes back to the phone.
            mode: (direct && party == Party::Human).then_some(Mode::Cold),
            on_failure: (party == Party::Human).then(|| OnFailure::always(Vec::new())),
            ..TransferOptions::default()
        };
        let mut spec = step.rules.transfer(&to, &options).map_err(|_| 404_u16)?;
        if let policy::Place::Ai { profile: named } = &mut spec.place {
            *named = profile.or(named.take());
        }
        self.commands += 1;
        step.signaling(Command::AcceptRefer { leg: usage });
        let mut headers = Vec::new();
        headers.extend(refer.replaces.map(|replaces| ("Replaces".to_owned(), replaces.print())));
        headers.extend(refer.referred_by.iter().map(|by| ("Referred-By".to_owned(), format!("<{by}>"))));
        if let Some((_, value)) = refer.asked.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("User-to-User")) {
            self.about.user_to_user = Some(value);
        }
        self.referrer = Some(Referrer { leg, usage, to: Arc::clone(&spec.to), headers });
        if party == Party::Human {
            self.parked = self.human.take();
        }
        let source = Source::Refer { leg: name, referred_by: refer.referred_by };
        match self.begin_transfer(step, source, spec) {
            Ok(transfer) => {
                let record = DecisionRecord {
                    time: step.time(),
                    trigger: "refer".to_owned(),
                    rule: None,
                    transfer: Some(transfer),
                    explanation: Explanation::default(),
                };
                step.story.decided(record, step.config.limits.decisions);
            }
            Err(NotNow::Active(_) | NotNow::Ending | NotNow::Unanswered) => {
                self.human = self.parked.take();
                self.tell_referrer(step, 503);
                self.referrer = None;
            }
        }
        Ok(())
    }

    /// Whom a REFER means: a destination by its name, an AI by its address, a number, or the URI itself if it may be dialled.
    fn referred_to(&self, step: &Step<'_>, party: Party, refer: &ReferRequest) -> Result<(To, Option<Arc<str>>), u16> {
        let uri = sip_uri(&refer.to);
        if refer.replaces.is_some() {
            // A dialog of ours that is not there any more, or that nobody may take over this way.
            if refer.ours || refer.replaced.is_some() {
                return Err(if refer.replaced.is_some() { 603 } else { 481 });
            }
            return self.direct(step, &refer.to);
        }
        let Some((user, host)) = uri else { return self.direct(step, &refer.to) };
        let ai = step.config.ai.iter().find(|(_, profile)| {
            sip_uri(&profile.uri).is_some_and(|(ai, at)| ai == user && at.eq_ignore_ascii_case(&host))
        });
        if let Some((name, _)) = ai.filter(|_| party == Party::Human) {
            return Ok((To::Name("ai".into()), Some(name.as_str().into())));
        }
        let named = To::Name(user.as_str().into());
        if step.rules.transfer(&named, &TransferOptions::default()).is_ok() && !(user == "ai" && party == Party::Ai) {
            return Ok((named, None));
        }
        if !refer.ours || Self::has_phone(step, &refer.to) {
            return self.direct(step, &refer.to);
        }
        // Our own address stands for whatever else it routes to, and a number is routed by the trunks.
        let digits = user.strip_prefix('+').unwrap_or(&user);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(404);
        }
        let trunk = step.config.trunks.get(&self.about.trunk);
        let number = trunk.map_or_else(|| user.clone(), |trunk| trunk.numbers.canonical(&user));
        self.direct(step, &format!("tel:{number}"))
    }

    /// The same checks as for a command.
    fn direct(&self, step: &Step<'_>, uri: &str) -> Result<(To, Option<Arc<str>>), u16> {
        if dial::fault(uri).is_some() {
            return Err(if dial::scheme(uri) == Some("sips") { 416 } else { 404 });
        }
        self.reaches(step, uri).map(|()| (To::Uri(uri.into()), None)).map_err(|_| 404)
    }

    /// Headers for the INVITE to `destination`, of whoever asked for it.
    pub(super) fn referred_headers(&self, destination: &str) -> Vec<(String, String)> {
        let referrer = self.referrer.as_ref().filter(|referrer| *referrer.to == *destination);
        referrer.map(|referrer| referrer.headers.clone()).unwrap_or_default()
    }

    /// Whether `leg` asked for the transfer under way.
    pub(super) fn is_referrer(&self, leg: LegId) -> bool {
        self.referrer.as_ref().is_some_and(|referrer| referrer.leg == leg)
    }

    /// How the transfer stands, to whoever asked for it.
    pub(super) fn tell_referrer(&self, step: &mut Step<'_>, status: u16) {
        if let Some(referrer) = &self.referrer {
            step.signaling(Command::NotifyRefer { leg: referrer.usage, status });
        }
    }

    /// The transfer is over: the last that whoever asked for it is told.
    pub(super) fn conclude_refer(&mut self, step: &mut Step<'_>, state: TransferState, record: &TransferRecord) {
        let status = match state {
            TransferState::Bridged | TransferState::Referred | TransferState::Voicemail | TransferState::Callback => {
                200
            }
            TransferState::Cancelled | TransferState::CallEnded => 487,
            // To the AI, which was asked for: nothing failed.
            TransferState::Failed if record.cause.is_none() => 200,
            _ => record.sip_code.filter(|code| *code >= 300).or(record.cause.map(status_of)).unwrap_or(500),
        };
        self.tell_referrer(step, status);
        self.referrer = None;
    }

    /// The human who asked for a transfer that failed has the caller again. False: there is none.
    pub(super) fn back_to_human(&mut self, step: &mut Step<'_>) -> bool {
        let Some(human) = self.parked.take() else { return false };
        let leg = self.leg(human).map(|leg| leg.record.name.clone()).unwrap_or_default();
        let held = self.hold_music(step, None);
        self.human = Some(human);
        self.returned = Some(step.now.monotonic);
        self.stage = Stage::WithHuman { held };
        step.publish(Happening::CallReturned { leg });
        self.replan(step);
        self.measure_ends(step);
        true
    }

    /// Whether a human who hangs up now may not have heard yet that their transfer failed: many phones hang up as soon as
    /// their REFER is taken.
    pub(super) fn thinks_it_transferred(&self, step: &Step<'_>) -> bool {
        self.returned.is_some_and(|at| step.now.monotonic.since(at) < HEARD_OF_IT)
    }

    /// The human who asked is not needed any more.
    pub(super) fn release_parked(&mut self, step: &mut Step<'_>) {
        if let Some(human) = self.parked.take() {
            self.drop_leg(step, human);
        }
    }
}

/// User (escapes read) and host with port of a `sip:` URI.
fn sip_uri(uri: &str) -> Option<(String, String)> {
    let rest = uri.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("sip"))?.1;
    let (user, rest) = rest.rsplit_once('@')?;
    let user = user.split([';', ':']).next()?;
    let host = rest.split([';', '?']).next()?;
    (!user.is_empty()).then(|| (crate::calls::unescape(user), host.strip_suffix(":5060").unwrap_or(host).to_owned()))
}

/// What a failure without a status is called.
fn status_of(cause: Cause) -> u16 {
    match cause {
        Cause::Busy => 486,
        Cause::Declined | Cause::NotAccepted => 603,
        Cause::NoAnswer => 408,
        Cause::Closed => 480,
        Cause::Unreachable => 503,
        _ => 500,
    }
}
