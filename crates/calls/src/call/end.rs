//! The end of a call, and its record.

use super::{Call, End, Stage};
use crate::{
    CallDetail, CallState, CallSummary, Cdr, EndCause, Happening, MediaRecord, Time, TransferState,
    step::{Step, Timer},
};
use media_relay::PortId;

/// The version of the CDR's shape.
const CDR_VERSION: u32 = 1;

impl Call {
    /// Everybody leaves at once: legs are cancelled or ended, ports closed. Idempotent. `status` refuses a caller who was
    /// never answered.
    pub(super) fn end(&mut self, step: &mut Step<'_>, cause: EndCause, by: &str, status: Option<u16>) {
        self.end_because(step, (cause, None), by, status);
    }

    /// The same, with why whoever we called did not answer.
    pub(super) fn end_because(
        &mut self,
        step: &mut Step<'_>,
        (cause, failure): (EndCause, Option<policy::Cause>),
        by: &str,
        status: Option<u16>,
    ) {
        if self.stage == Stage::Ending {
            return;
        }
        self.supervisors_leave(step);
        self.stop_measuring(step);
        self.callback_came_to_nothing(step, cause);
        self.finish_transfer(step, TransferState::CallEnded);
        self.stage = Stage::Ending;
        (self.ai, self.human, self.parked, self.announcement) = (None, None, None, None);
        self.replacing.clear();
        let answered = self.caller_answered();
        let answered_at = self.first_answer(step.story);
        let duration_ms = answered_at.map_or(0, |answered| step.time().ms_since(answered));
        // Somebody whom we call is not refused: what they or their network said has a cause.
        let refuses = failure.is_some() || !self.is_to_person();
        let sip_code = status.filter(|_| !answered && answered_at.is_none() && refuses);
        for id in self.live_legs() {
            if id == self.caller && sip_code.is_some() {
                self.refuse_caller(step, sip_code);
            } else {
                self.drop_leg(step, id);
            }
        }
        *step.timers = clock::Timers::default();
        step.arm(Timer::Ending, step.config.limits.ending);
        self.end = Some(End { cause, failure, by: by.to_owned(), sip_code, time: step.time() });
        step.publish(Happening::CallEnded { cause, failure, by: by.to_owned(), sip_code, duration_ms });
        self.person_done(step);
        for (id, _) in std::mem::take(&mut self.waiters) {
            step.reply(id, Err(crate::Problem::ended_call()));
        }
    }

    fn refuse_caller(&mut self, step: &mut Step<'_>, status: Option<u16>) {
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == self.caller) else { return };
        if let Some(port) = leg.port {
            self.counting.push((port, leg.record.name.clone()));
        }
        leg.record.ended_by = Some("us".to_owned());
        leg.hang_up(step, status);
    }

    /// [`Timer::Ending`]: what is left did not go by itself.
    pub(super) fn give_up_ending(&mut self, step: &mut Step<'_>) {
        if !self.legs.is_empty() || !self.counting.is_empty() {
            tracing::warn!(call = %step.id, legs = self.legs.len(), ports = self.counting.len(), "dropped by force");
        }
        for (port, _) in std::mem::take(&mut self.counting) {
            step.shared.ports.remove(&port);
        }
        let legs: Vec<_> = self.legs.iter().map(|leg| leg.id).collect();
        for leg in legs {
            self.remove_leg(step, leg);
        }
        self.counting.clear();
    }

    /// A closed port tells what it counted.
    pub(super) fn port_counted(&mut self, step: &mut Step<'_>, port: PortId, stats: &media_relay::Stats) {
        step.shared.ports.remove(&port);
        let Some(at) = self.counting.iter().position(|(counting, _)| *counting == port) else { return };
        let (_, name) = self.counting.remove(at);
        let record = crate::relay::counted(stats);
        self.store_media(step, &name, record);
    }

    /// An open port tells what it has counted so far.
    pub(super) fn port_counts(&mut self, port: PortId, stats: &media_relay::Stats) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.port == Some(port)) {
            leg.record.media = Some(crate::relay::counted(stats));
        }
    }

    fn store_media(&mut self, step: &mut Step<'_>, name: &str, record: MediaRecord) {
        let live = self.legs.iter_mut().map(|leg| &mut leg.record);
        if let Some(leg) = live.chain(step.story.legs.iter_mut()).find(|leg| leg.name == name) {
            leg.media = Some(record);
        }
    }

    /// The call in a list.
    pub(crate) fn summary(&self, story: &crate::story::Story) -> CallSummary {
        CallSummary {
            id: self.about.id,
            state: if self.is_over() { CallState::Ended } else { self.state() },
            line: self.about.line.to_string(),
            trunk: self.about.trunk.clone(),
            from: self.about.from.clone(),
            to: self.about.to.clone(),
            sip_call_id: self.about.sip_call_id.clone(),
            started: self.about.started,
            answered: self.first_answer(story),
            ended: self.end.as_ref().map(|end| end.time),
            direction: self.facts.call().direction,
            campaign: self.campaign().map(str::to_owned),
            cause: self.end.as_ref().map(|end| end.cause),
            failure: self.end.as_ref().and_then(|end| end.failure),
            transfer: self.transfer.as_ref().map(|transfer| transfer.id()),
        }
    }

    /// Everything about the call.
    pub(crate) fn detail(&self, step: &Step<'_>) -> CallDetail {
        let mut legs = step.story.legs.clone();
        legs.extend(self.legs.iter().map(|leg| leg.record.clone()));
        legs.sort_by_key(|leg| leg.setup);
        let mut transfers = step.story.transfers.clone();
        transfers.extend(self.transfer.as_ref().map(|transfer| transfer.record.clone()));
        let facts = step.rules.view(&self.facts, step.now);
        CallDetail {
            summary: self.summary(step.story),
            facts: serde_json::to_value(facts).unwrap_or_default(),
            context: self.facts.context().clone(),
            legs,
            timeline: step.story.timeline.clone(),
            timeline_dropped: step.story.timeline_dropped,
            supervisors: self.supervisors.summary(),
            decisions: step.story.decisions.iter().cloned().collect(),
            transfers,
            amd: self.answered_by(),
            recording: self.recording.record.clone(),
            recording_consent: self.recording.consent,
            voicemails: self.voicemails.clone(),
            transfer_source: self.transfer.as_ref().map(|transfer| transfer.record.source.clone()),
        }
    }

    /// The record of the ended call.
    pub(crate) fn cdr(&self, step: &Step<'_>, detail: &CallDetail) -> Cdr {
        // A caller whom we called may have been tried through several trunks.
        let callers = || detail.legs.iter().filter(|leg| leg.party == crate::Party::Caller);
        let caller = callers().find(|leg| leg.answered.is_some()).or_else(|| callers().next()).cloned();
        let now: Time = step.time();
        let (cause, by, sip_code, released) = match &self.end {
            Some(end) => (end.cause, end.by.clone(), end.sip_code, end.time),
            None => (EndCause::InternalError, "us".to_owned(), None, now),
        };
        let answered = caller.as_ref().and_then(|leg| leg.answered);
        Cdr {
            version: CDR_VERSION,
            call: self.about.id,
            sip_call_id: self.about.sip_call_id.clone(),
            trunk: self.about.trunk.clone(),
            line: self.about.line.to_string(),
            ai: self.about.ai.clone(),
            from: self.about.from.clone(),
            to: self.about.to.clone(),
            setup: self.about.started,
            ringing: caller.as_ref().and_then(|leg| leg.ringing),
            answered,
            first_media: self.first_media,
            bridged: step.story.first_bridge,
            released,
            duration_ms: answered.map_or(0, |answered| released.ms_since(answered)),
            cause,
            ended_by: by,
            sip_code,
            handoff_silence_ms: step.story.first_silence(),
            legs: detail.legs.clone(),
            decisions: detail.decisions.clone(),
            transfers: detail.transfers.clone(),
            recording: detail.recording.clone(),
            recording_consent: detail.recording_consent,
            voicemails: detail.voicemails.clone(),
            callback: self.callback(),
            direction: detail.summary.direction,
            campaign: detail.summary.campaign.clone(),
            failure: detail.summary.failure,
            amd: detail.amd,
            tags: self.facts.tags().map(str::to_owned).collect(),
            events: step.story.events,
        }
    }

    /// The legs' ids and ports, for a call that is dropped because its step panicked.
    pub(crate) fn end_by_force(&mut self, now: Time) {
        if self.end.is_none() {
            let (cause, by) = (EndCause::InternalError, "us".to_owned());
            self.end = Some(End { cause, failure: None, by, sip_code: None, time: now });
        }
        for leg in &mut self.legs {
            leg.record.ended.get_or_insert(now);
        }
    }

    /// The daemon is stopping.
    pub(crate) fn shut_down(&mut self, step: &mut Step<'_>) {
        self.end(step, EndCause::Shutdown, "us", Some(503));
        self.settle(step);
    }
}
