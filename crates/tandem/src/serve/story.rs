//! The story of a call in the log: one INFO line for each turning point, told away from the engine.

use calls::{Happening, PublicEvent};
use policy::Direction;
use tracing::{info, warn};

/// Tells one event. Numbers and URIs are hidden by the log's own format, as configured.
pub(crate) fn tell(event: &PublicEvent) {
    let Some(call) = event.call else { return tell_other(&event.what) };
    match &event.what {
        Happening::CallStarted { trunk, line, ai, from, to, sip_call_id, direction: Direction::Inbound, .. } => {
            let from = from.as_deref().unwrap_or("anonymous");
            info!(%call, trunk, line, ai, from, to, sip_call_id, "caller -> {line}");
        }
        // Whom we call is where callers stand: in `from`.
        Happening::CallStarted { trunk, line, ai, from, to, campaign, .. } => {
            let (from, campaign) = (from.as_deref().unwrap_or("anonymous"), campaign.as_deref());
            info!(%call, trunk, line, ai, campaign, from, to, "{line} -> caller");
        }
        Happening::CallRinging { sip_code } => info!(%call, sip_code, "caller rings"),
        Happening::CallAnswered { by } => info!(%call, "answered by {}", word(by)),
        Happening::AiConnected { profile, stint } => info!(%call, stint, "caller <-> ai {profile}"),
        Happening::AiLost { profile, cause, sip_code, next } => {
            warn!(%call, sip_code, next, "ai {profile} lost: {}", word(cause));
        }
        Happening::AiRedirected { profile, sip_code, from, to, passed_over } => {
            let passed_over = passed_over.iter().map(|it| format!("{}: {}", it.contact, it.why)).collect::<Vec<_>>();
            let (to, passed_over) = (to.join(", "), passed_over.join("; "));
            info!(%call, sip_code, from, to, passed_over, "ai {profile} is elsewhere");
        }
        Happening::AiMuted { transfer } => info!(%call, %transfer, "ai muted"),
        Happening::FactsChanged { event } => tracing::debug!(%call, event, "facts changed"),
        Happening::PolicyDecided { rule, does, trigger } => info!(%call, trigger, "rule {rule} decided: {does}"),
        Happening::PolicyNotified { rule, action } => info!(%call, %action, "rule {rule} tells"),
        Happening::TransferStarted { transfer, to, mode, .. } => {
            info!(%call, %transfer, "transfer to {to} ({})", word(mode));
        }
        Happening::AgentOffered { transfer, attempt, destination, target, .. } => {
            info!(%call, %transfer, attempt, target, "dialling {destination}");
        }
        Happening::QueueEntered { transfer, queue, priority, position } => {
            info!(%call, %transfer, priority, position, "caller waits in {queue}");
        }
        Happening::QueuePosition { queue, position, .. } => {
            info!(%call, position, "caller is told their place in {queue}");
        }
        Happening::QueueLeft { transfer, queue, outcome, waited_ms } => {
            info!(%call, %transfer, waited_ms, "caller leaves {queue}: {}", word(outcome));
        }
        Happening::AgentRinging { attempt, target, sip_code, .. } => {
            info!(%call, attempt, target, sip_code, "human rings");
        }
        Happening::AgentAnswered { attempt, target, .. } => info!(%call, attempt, target, "human answered"),
        Happening::WhisperStarted { attempt, task: Some(_), .. } => info!(%call, attempt, "human hears the AI"),
        Happening::WhisperStarted { attempt, said, .. } => info!(%call, attempt, "human hears {}", said.join(", ")),
        Happening::AmdResult { leg, amd, .. } => {
            info!(%call, after_ms = amd.after_ms, "{leg} answered by {}: {}", word(&amd.result), word(&amd.because));
        }
        Happening::AgentAccepted { attempt, by, .. } => info!(%call, attempt, "human accepted by {}", word(by)),
        Happening::IntroductionStarted { transfer, attempt, within_ms, .. } => {
            info!(%call, %transfer, attempt, within_ms, "caller <-> ai <-> human");
        }
        Happening::IntroductionEnded { transfer, by, lasted_ms } => {
            info!(%call, %transfer, lasted_ms, "introduction over: {}", word(by));
        }
        Happening::CopilotStarted { transfer, profile } => info!(%call, %transfer, "ai {profile} stays as co-pilot"),
        Happening::CopilotEvent { .. } => tracing::debug!(%call, "co-pilot event"),
        Happening::TransferBridged { transfer, destination, waited_ms, .. } => {
            info!(%call, %transfer, waited_ms, "caller <-> human {destination}");
        }
        Happening::TransferFailed { transfer, attempt, destination, cause, sip_code, next, .. } => {
            info!(%call, %transfer, attempt, sip_code, next, "transfer to {destination} failed: {cause}");
        }
        Happening::TransferReferred { transfer, destination, target, .. } => {
            info!(%call, %transfer, target, "caller -> {destination}, called away by their trunk");
        }
        Happening::TransferCancelled { transfer } => info!(%call, %transfer, "transfer cancelled"),
        Happening::TransferMeasured { transfer, handoff_silence_ms } => {
            info!(%call, %transfer, handoff_silence_ms, "handoff measured");
        }
        Happening::HandedBack { reason, human_ms, .. } => info!(%call, human_ms, "back to the ai: {reason}"),
        Happening::ReferRefused { leg, sip_code, .. } => info!(%call, sip_code, "refer of {leg} refused"),
        Happening::CallReturned { leg } => info!(%call, "back to {leg}, who asked for the transfer"),
        Happening::SupervisorJoined { supervisor, mode, .. } => info!(%call, "{supervisor} joins ({})", word(mode)),
        Happening::SupervisorChanged { supervisor, mode } => info!(%call, "{supervisor}: {}", word(mode)),
        Happening::SupervisorLeft { supervisor, by, duration_ms } => {
            info!(%call, by, duration_ms, "{supervisor} left");
        }
        Happening::SupervisorFailed { supervisor, to, cause, sip_code } => {
            info!(%call, to, sip_code, "{supervisor} did not join: {cause}");
        }
        Happening::LegReplaced { leg, by, .. } => info!(%call, "{by} takes the place of {leg}"),
        Happening::LegJoined { leg, from } => info!(%call, %from, "{leg} joins the call"),
        Happening::CallJoined { leg, into } => info!(%call, %into, "{leg} goes over to another call"),
        // What a caller types may be a PIN.
        Happening::Dtmf { leg, .. } => tracing::debug!(%call, leg, "digit"),
        Happening::LegHold { leg, holds } => {
            info!(%call, holds, "{leg} {}", if *holds { "holds us" } else { "is back" });
        }
        Happening::OneWayAudio { leg, missing: media_relay::Direction::FromPeer } => {
            warn!(%call, "one-way audio: what {leg} sends does not arrive; look at NAT and firewalls, and at `nat: learn`");
        }
        Happening::OneWayAudio { leg, missing: media_relay::Direction::ToPeer } => {
            warn!(%call, "one-way audio: {leg} says that nothing of ours arrives; look at NAT and firewalls, and at `media.external_address`");
        }
        Happening::RecordingStarted { .. } => info!(%call, "recording"),
        Happening::RecordingConsent { granted, .. } => info!(%call, granted, "caller asked to be recorded"),
        Happening::RecordingRule { rule, action, not_done } => {
            info!(%call, rule, not_done, "recording by rule: {action}");
        }
        Happening::RecordingPaused { for_ms } => info!(%call, for_ms, "recording paused"),
        Happening::RecordingResumed {} => info!(%call, "recording goes on"),
        Happening::RecordingFailed { reason } => {
            warn!(%call, reason, "the recording cannot be written; the call goes on");
        }
        Happening::RecordingFinished { duration_ms, bytes, complete, .. } => {
            info!(%call, duration_ms, bytes, complete, "recording finished");
        }
        // The uploads have said so themselves.
        Happening::RecordingUploaded { .. } | Happening::RecordingUploadFailed { .. } => {}
        Happening::VoicemailStarted { mailbox } => info!(%call, mailbox, "caller may leave a message"),
        Happening::VoicemailLeft { voicemail, mailbox, duration_ms, bytes, ended_by, complete, .. } => {
            info!(%call, %voicemail, mailbox, duration_ms, bytes, complete, "message left: {}", ended_by.name());
        }
        Happening::VoicemailDiscarded { voicemail, mailbox, spoken_ms, .. } => {
            info!(%call, %voicemail, mailbox, spoken_ms, "message thrown away: too short");
        }
        Happening::VoicemailFailed { voicemail, reason } => {
            warn!(%call, %voicemail, reason, "the message cannot be written");
        }
        // The number and the words are the caller's.
        Happening::CallbackRequested { callback, list, again, .. } => {
            info!(%call, %callback, list, again, "caller is to be called back");
        }
        Happening::MessageLeft { message, .. } => info!(%call, %message, "caller left a message"),
        Happening::MessageWanted { .. } => info!(%call, "the ai is to take a message"),
        Happening::AgentState { .. }
        | Happening::CallbackChanged { .. }
        | Happening::LedgerFailing { .. }
        | Happening::LedgerWorking {}
        | Happening::TrunkUp { .. }
        | Happening::TrunkDown { .. } => tell_other(&event.what),
        Happening::AnnouncementStarted { prompt } => info!(%call, "caller hears {prompt}"),
        Happening::CallEnded { cause, failure: Some(failure), by, sip_code, duration_ms } => {
            info!(%call, by, sip_code, duration_ms, "ended: {} ({failure})", word(cause));
        }
        Happening::CallEnded { cause, by, sip_code, duration_ms, .. } => {
            info!(%call, by, sip_code, duration_ms, "ended: {}", word(cause));
        }
    }
}

/// What happens to a trunk or an agent, whoever calls.
fn tell_other(what: &Happening) {
    match what {
        Happening::AgentState { agent, state, reason, .. } if reason == "unanswered" => {
            warn!(agent, "agent {agent} is {state}: offers in a row came to nothing");
        }
        Happening::AgentState { agent, state, was, reason } => {
            tracing::debug!(agent, %was, reason, "agent {agent} is {state}");
        }
        Happening::CallbackChanged { callback, state, agent, tries, outcome, .. } => {
            info!(%callback, agent, tries, outcome, "callback is {}", word(state));
        }
        Happening::TrunkUp { trunk, reason } => info!(trunk, reason, "trunk up"),
        Happening::TrunkDown { trunk, reason } => warn!(trunk, reason, "trunk down"),
        _ => {}
    }
}

/// The word that the API uses for it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
