//! `POST /v1/calls`: everything that can be known beforehand is checked before anybody's phone rings.

use super::{Core, Entry};
use crate::{
    CallId, CallerId, Campaign, Happening, Observation, OnMachine, Output, PlaceBody, PlacedReply, Problem, Reply,
    RequestId, Trunk,
    call::{About, Call, Person, Then},
    dial,
    identity::Identity,
    outbound::Refused,
    step::Step,
    story::Story,
};
use clock::{Now, Timers};
use core::time::Duration;
use media_relay::CallKey;
use policy::{CallStart, Direction, Facts, Posted, To, TransferOptions};
use signaling::LegId;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Idempotency keys that are remembered; the oldest goes.
const MOST_KEYS: usize = 4_096;

/// Requests that placed a call, by their idempotency keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: BTreeMap<Arc<str>, (PlaceBody, CallId)>,
    order: VecDeque<Arc<str>>,
}

impl Keys {
    fn keep(&mut self, key: &str, body: &PlaceBody, call: CallId) {
        if self.order.len() >= MOST_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        let key: Arc<str> = key.into();
        self.order.push_back(Arc::clone(&key));
        self.known.insert(key, (body.clone(), call));
    }
}

/// What a request comes to, read against configuration and rules.
struct Wanted {
    line: String,
    ai: String,
    then: Then,
    /// What they see; empty: nothing but what their trunk shows.
    from: String,
    /// Who they are to us.
    number: String,
    /// What is dialled.
    target: String,
    ring: Duration,
    on_machine: OnMachine,
    ways: Vec<dial::Route>,
}

impl Core {
    /// Somebody is called.
    pub(super) fn place(
        &mut self,
        now: Now,
        id: RequestId,
        body: &PlaceBody,
        key: Option<&str>,
        wait: Option<Duration>,
    ) {
        if let Some((before, call)) = key.and_then(|key| self.keys.known.get(key)) {
            if before != body {
                let detail = "this key was used for another call";
                return self.reply(id, Err(Problem::invalid("Idempotency-Key", detail)));
            }
            return self.placed_before(now, id, *call, wait);
        }
        match self.place_call(now, body) {
            Ok((of, call)) => {
                if let Some(key) = key {
                    self.keys.keep(key, body, call);
                }
                self.step(now, of, |call, step| call.placed_request(step, id, wait));
            }
            Err(refused) => {
                let (reason, problem) = *refused;
                // Only what is configured becomes a label.
                let known = body.campaign.as_ref().filter(|name| self.config.outbound.campaigns.contains_key(*name));
                let campaign = known.cloned().unwrap_or_default();
                self.out.push_back(Output::Observe(Observation::NotPlaced { campaign, reason }));
                self.reply(id, Err(problem));
            }
        }
    }

    fn placed_before(&mut self, now: Now, id: RequestId, call: CallId, wait: Option<Duration>) {
        if let Some(key) = self.ids.get(&call).copied() {
            return self.step(now, key, |call, step| call.placed_request(step, id, wait));
        }
        let ended = self.ended.iter().find(|(ended, _)| *ended == call);
        let reply = ended.map(|(_, detail)| Reply::Placed(PlacedReply::of_ended(detail)));
        self.reply(id, reply.ok_or_else(Problem::ended_call));
    }

    fn place_call(&mut self, now: Now, body: &PlaceBody) -> Result<(CallKey, CallId), Refused> {
        let wrong = |problem| Box::new(("invalid", problem));
        body.check().map_err(wrong)?;
        let campaign = self.campaign(body).map_err(wrong)?;
        let wanted = self.wanted(body, campaign).map_err(wrong)?;
        let facts = self.facts_of_person(now, body, &wanted).map_err(wrong)?;
        if let (Some(name), Some(campaign)) = (&body.campaign, campaign) {
            campaign.judge(name, body.time_zone.as_deref(), &self.rules, now)?;
        }
        let Some(local) = self.config.listeners.first().map(|listener| listener.local) else {
            return Err(wrong(Problem::new(503, "wrong-state", "there is no listener to call from")));
        };
        if self.calls.len() >= self.config.limits.calls {
            let problem = Problem::new(503, "busy", "as many calls as can be are up");
            return Err(Box::new(("calls", problem.retry_after(Duration::from_secs(10)))));
        }
        self.shared.placed.admit(&self.config.outbound, body.campaign.as_deref(), now.monotonic)?;
        let profile = self.config.ai.get(&wanted.ai);
        let predial = body.predial.unwrap_or_else(|| profile.is_none_or(|profile| profile.predial));
        let about = About {
            id: CallId::generate(now, &mut self.shared.chance),
            line: wanted.line.as_str().into(),
            trunk: String::new(),
            ai: wanted.ai,
            bypass: Vec::new(),
            from: Some(wanted.number.clone()),
            identity: Identity::of_number(&wanted.number),
            to: wanted.from,
            sip_call_id: String::new(),
            local,
            max_forwards: 70,
            user_to_user: None,
            started: now.into(),
            began: now.monotonic,
        };
        let mut person = Person::new(wanted.then, predial, body.intent(), body.campaign.clone());
        person.on_machine = wanted.on_machine;
        let (id, target) = (about.id, (wanted.target, wanted.ring));
        self.ring_person(now, about, facts, target, person, wanted.ways).map(|key| (key, id))
    }

    /// A place is taken on a trunk, and the call begins.
    fn ring_person(
        &mut self,
        now: Now,
        about: About,
        facts: Facts,
        target: (String, Duration),
        person: Person,
        ways: Vec<dial::Route>,
    ) -> Result<CallKey, Refused> {
        self.next_call += 1;
        let (key, id) = (CallKey(self.next_call), about.id);
        let mut story = Story::new(Arc::clone(&about.line));
        let mut timers = Timers::default();
        let mut step = Step {
            now,
            config: &self.config,
            rules: &self.rules,
            key,
            id,
            timers: &mut timers,
            story: &mut story,
            shared: &mut self.shared,
            out: &mut self.out,
        };
        let caller: LegId = step.new_leg();
        let mut ways = Call::ordered(&mut step, ways, "");
        let Some(route) = Call::first_free(&mut step, caller, &mut ways) else {
            self.shared.legs.remove(&caller);
            self.shared.placed.leave(person.campaign.as_deref());
            let title = "every trunk that may carry this call is full";
            let problem = Problem::new(429, "trunks-full", title).retry_after(Duration::from_secs(1));
            return Err(Box::new(("trunks", problem)));
        };
        step.publish(Happening::CallStarted {
            trunk: route.peer.trunk().unwrap_or_default().to_owned(),
            line: about.line.to_string(),
            ai: about.ai.clone(),
            from: about.from.clone(),
            to: about.to.clone(),
            sip_call_id: String::new(),
            direction: Direction::Outbound,
            campaign: person.campaign.clone(),
        });
        self.ids.insert(id, key);
        let call = Call::place_to(about, facts, caller, target, person);
        self.calls.insert(key, Box::new(Entry { call, story, timers }));
        self.step(now, key, |call, step| call.dial_person(step, route, ways));
        Ok(key)
    }

    fn campaign(&self, body: &PlaceBody) -> Result<Option<&Campaign>, Problem> {
        let Some(name) = &body.campaign else { return Ok(None) };
        let campaigns = &self.config.outbound.campaigns;
        campaigns.get(name).map(Some).ok_or_else(|| unknown("campaign", name, campaigns.keys(), "`campaigns`"))
    }

    /// Who talks to whom, from where, and by which ways.
    fn wanted(&self, body: &PlaceBody, campaign: Option<&Campaign>) -> Result<Wanted, Problem> {
        let config = &self.config;
        if config.agents.account(&body.to).is_some() {
            let detail = "this is an agent's phone; agents are rung by transfers, a person's number was expected";
            return Err(Problem::invalid("to", detail));
        }
        let through = campaign.and_then(|campaign| campaign.trunk.as_deref()).or(config.outbound.trunk.as_deref());
        let ways = dial::human(config, &body.to, through, "", false).map_err(|why| Problem::invalid("to", why))?;
        let from = self.shown_number(body, campaign, &ways)?;
        let of_campaign = |of: fn(&Campaign) -> &Option<String>| campaign.and_then(|campaign| of(campaign).as_ref());
        let line = body.line.as_ref().or_else(|| of_campaign(|campaign| &campaign.line));
        let route = match line {
            Some(line) => config.routes.iter().find(|route| route.bypass.is_empty() && route.line == *line),
            None => {
                let by = |route: &crate::Route| route.trunks.first().cloned().unwrap_or_default();
                let answers = |route: &&crate::Route| {
                    !from.is_empty() && route.bypass.is_empty() && route.matches(&from, &from, &by(route))
                };
                config.routes.iter().find(answers).or(config.routes.iter().find(|route| route.bypass.is_empty()))
            }
        };
        let route = route.ok_or_else(|| match line {
            Some(line) => unknown("line", line, config.routes.iter().map(|route| &route.line), "`routes`"),
            None => Problem::invalid("line", "no route says which line this is; a `line` was expected"),
        })?;
        let ai = body.ai.as_ref().or_else(|| of_campaign(|campaign| &campaign.ai)).unwrap_or(&route.ai);
        if !config.ai.contains_key(ai) {
            return Err(unknown("ai", ai, config.ai.keys(), "`ai`"));
        }
        let then = match &body.connect {
            None => Then::Ai,
            Some(name) => {
                let to = To::parse(name);
                if matches!(to, To::Uri(_)) {
                    return Err(Problem::invalid("connect", "the name of a destination of the rules was expected"));
                }
                let known = self.rules.transfer(&to, &TransferOptions::default());
                known.map_err(|error| Problem::unknown_destination().field("connect").detail(error.to_string()))?;
                Then::Destination(name.clone())
            }
        };
        let ring = body.ring_timeout.or_else(|| campaign.and_then(|campaign| campaign.ring_timeout));
        let number = dial::called_number(config, &body.to, &ways);
        // RFC 3966, section 5.1.1: separators are for the eye.
        let target = match dial::scheme(&body.to) {
            Some("tel") => format!("tel:{number}"),
            _ => body.to.clone(),
        };
        let on_machine = body.amd.map(|amd| amd.on_machine);
        let on_machine = on_machine.or_else(|| campaign.and_then(|campaign| campaign.on_machine));
        Ok(Wanted {
            on_machine: on_machine.unwrap_or(config.outbound.on_machine),
            line: route.line.clone(),
            ai: ai.clone(),
            then,
            from,
            number,
            target,
            ring: ring.unwrap_or(config.outbound.ring_timeout),
            ways,
        })
    }

    /// The number that they see: one of ours, or what each of the trunks shows by itself.
    fn shown_number(
        &self,
        body: &PlaceBody,
        campaign: Option<&Campaign>,
        ways: &[dial::Route],
    ) -> Result<String, Problem> {
        let outbound = &self.config.outbound;
        if let Some(from) = &body.from {
            let ours = self.config.routes.iter().any(|route| route.called == *from)
                || outbound.from.as_ref() == Some(from)
                || campaign.is_some_and(|campaign| campaign.from.as_ref() == Some(from))
                || outbound.allow_from.iter().any(|start| from.starts_with(start.as_str()));
            let digits = from.strip_prefix('+').unwrap_or_default();
            let e164 = (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            return match (e164, ours) {
                (false, _) => Err(Problem::invalid("from", "a number such as +493012345 was expected")),
                (true, false) => {
                    let detail = "this number may not be shown; `outbound.allow_from` of the configuration says which";
                    Err(Problem::invalid("from", detail))
                }
                (true, true) => Ok(from.clone()),
            };
        }
        if let Some(from) = campaign.and_then(|campaign| campaign.from.as_ref()).or(outbound.from.as_ref()) {
            return Ok(from.clone());
        }
        let itself = |trunk: &Trunk| matches!(trunk.caller_id, CallerId::Fixed(_) | CallerId::Anonymous);
        let trunk = |way: &dial::Route| way.peer.trunk().and_then(|name| self.config.trunks.get(name));
        if ways.iter().all(|way| trunk(way).is_some_and(itself)) {
            return Ok(String::new());
        }
        let detail = "there is no number to show; `from`, or `outbound.from` of the configuration, was expected";
        Err(Problem::invalid("from", detail))
    }

    /// What is known of them before they are called.
    fn facts_of_person(&self, now: Now, body: &PlaceBody, wanted: &Wanted) -> Result<Facts, Problem> {
        let start = CallStart {
            line: Some(wanted.line.as_str().into()),
            caller: Some(wanted.number.as_str().into()),
            called: Some(wanted.from.as_str()).filter(|from| !from.is_empty()).map(Into::into),
            trunk: wanted.ways.first().and_then(|way| way.peer.trunk()).map(Into::into),
            profile: Some(wanted.ai.as_str().into()),
            direction: Direction::Outbound,
        };
        let listening = self.config.ai.get(&wanted.ai).map(|profile| Arc::clone(&profile.listening));
        let mut facts = Facts::new(start, listening.unwrap_or_default(), now);
        crate::call::check_context(&self.config.limits, &body.context)?;
        let values = body.context.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        facts.merge_context(now, &values).map_err(|error| Problem::invalid("context", error.message))?;
        if let Some(intent) = body.intent() {
            let folded = facts.fold(now, &Posted::from(intent));
            folded.map_err(|error| Problem::invalid("intent", error.message))?;
        }
        for tag in body.tags.iter().chain(&body.campaign) {
            facts.tag(tag);
        }
        Ok(facts)
    }
}

/// There is nothing of that name; what there is instead.
fn unknown<'a>(field: &str, name: &str, known: impl Iterator<Item = &'a String>, section: &str) -> Problem {
    let known: Vec<&str> = known.map(String::as_str).take(64).collect();
    let detail = match policy::did_you_mean(name, known.iter().copied()) {
        Some(meant) => format!("found `{name}`, did you mean `{meant}`?"),
        None if known.is_empty() => format!("found `{name}`; {section} of the configuration names none"),
        None => format!("found `{name}`; {section} of the configuration names {}", known.join(", ")),
    };
    let title = match field {
        "ai" => "there is no such AI profile",
        "line" => "there is no such line",
        _ => "there is no such campaign",
    };
    Problem::new(404, &format!("unknown-{field}"), title).field(field).detail(detail)
}
