//! What worlds of the whole traffic stand on: rules with every kind of destination and decision, and configurations with all that a
//! caller can meet.

use super::{AfterHuman, PARTIES, address};
use crate::{
    agent::{PASSWORD, USERNAME},
    scenario::Scenario,
};
use calls::{
    AgentConfig, Agents, Callbacks, Campaign, CodeAct, Config, ConsentPrompt, DialogWatch, FeatureCode, FeatureCodes,
    Mailbox, Pace, Recording, RecordingChannels, RecordingWhen, TrunkCredentials,
};
use media_relay::Library;
use policy::{Environment, RuleSet, SourceFile};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// What tells a human what is known of a caller.
pub(super) const SAID: &str = "said/anger";
/// What callers are told, by sample and length in milliseconds.
pub(super) const TOLD: [(&str, i16, usize); 6] = [
    ("greeting", 600, 1_200),
    ("consent", 900, 900),
    ("callback", 4_500, 1_100),
    ("will-call", 2_200, 1_000),
    ("position", 12_000, 700),
    ("digit-1", 18_000, 400),
];

/// How many configurations there are.
pub(crate) const CONFIGS: u64 = 16;
/// To which some of the calls belong that are placed.
pub(crate) const CAMPAIGN: &str = "recall";
/// How many sets of rules.
pub(crate) const RULE_SETS: u64 = 2;

const DESTINATIONS: &str = r##"
version: 1
destinations:
  human:   { dial: "sip:human@10.0.0.30" }
  keyed:   { dial: "sip:human@10.0.0.30", accept: { press: "1", within: 10s } }
  both:    { dial: ["sip:human@10.0.0.30", "sip:other@10.0.0.31"], ring: simultaneous, accept: { press: "1", within: 10s } }
  other:   { dial: "sip:other@10.0.0.31", whisper: none }
  team:    { dial: ["sip:human@10.0.0.30", "sip:other@10.0.0.31", "sip:third@10.0.0.32"] }
  named:   { dial: "sip:third@desk.example" }
  quick:   { dial: "sip:third@10.0.0.32", ring_timeout: 3s, on_failure: [keyed, ai] }
  desk:    { queue: { skills: [desk], overflow_after: 25s }, ring_timeout: 8s, on_failure: [mail, ai] }
  all:
    queue: { skills: [desk], pick: simultaneous, overflow_after: 20s, unstaffed: wait, announce: { position: position, every: 10s } }
    ring_timeout: 9s
    on_failure: [later]
  anna:    { agent: anna, ring_timeout: 8s, on_failure: [callback] }
  pair:    { agent: [anna, ben], ring: simultaneous, accept: { press: "1", within: 8s }, on_failure: [message] }
  mail:    { voicemail: office }
  bare:    { voicemail: bare }
  later:   { callback: { list: sales, say: will-call } }
  brief:   { dial: "sip:human@10.0.0.30", whisper: { ai: brief } }
  briefed: { agent: [anna, ben], whisper: { ai: brief }, accept: { press: "1", within: 9s } }
  told:    { dial: "sip:other@10.0.0.31", whisper: { context: [intent, anger], prompt: incoming-handoff } }
  intro:   { dial: "sip:human@10.0.0.30", introduce: { within: 8s, press: "#" } }
  copilot: { dial: "sip:other@10.0.0.31", release_ai: stay }
  three:   { agent: anna, introduce: { within: 6s }, release_ai: stay, on_failure: [desk] }
  ready:   { dial: "sip:third@10.0.0.32", start: on_ready, drain_max: 8s, predial: false, context_wait: 400ms }
  number:  { dial: "tel:+4930123456", trunk: carrier, ring_timeout: 9s, on_failure: [mail] }
  away:    { dial: "tel:+4930123456", trunk: carrier, mode: cold, cold_by: refer, ring_timeout: 7s }
  sent:    { dial: "sip:other@10.0.0.31", mode: cold, cold_by: refer, on_failure: [desk] }
  empty:   { dial: "sip:nobody@10.0.0.99", ring_timeout: 3s, on_failure: ["voicemail:office"] }
  last:    { dial: "sip:third@10.0.0.32", ring_timeout: 4s, on_failure: [end] }
  gone:    { dial: "sip:third@10.0.0.32", ring_timeout: 4s, on_failure: { busy: [callback], declined: [message], else: [later, end] } }
"##;

const DEFAULTS: [&str; 2] = [
    r##"
defaults:
  transfer:
    caller_hears: { say: sorry, say_if: ai_quiet, then: music/default }
    whisper: { prompt: incoming-handoff }
    on_failure: { busy: [other], declined: [mail], no_answer: [callback], not_accepted: [message], else: [ai] }
"##,
    r##"
defaults:
  rules: { cooldown: 1s }
  transfer:
    caller_hears: { then: ringback }
    whisper: { ai: brief }
    introduce: { within: 5s, press: "#" }
    release_ai: stay
    on_failure: [desk, "voicemail:office"]
"##,
];

const RULES: &str = r##"
rules:
  - id: three-misses
    when: { retries: { at_least: 3 } }
    transfer: { to: human, mode: cold, introduce: none, release_ai: at_once }
  - id: card
    when: { intent: pay_by_card }
    recording: { pause: 2s }
  - id: on-air
    when: { intent: record }
    recording: start
  - id: off-air
    when: { intent: forget }
    recording: stop
  - id: call-me
    when: { intent: call_me_back }
    callback: true
  - id: mailbox
    when: { intent: leave_message }
    voicemail: office
  - id: notice
    when: { intent: notice }
    announce: sorry
  - id: goodbye
    when: { intent: goodbye }
    end: { say: sorry }
  - id: rather-not-wait
    while: waiting
    when: { dtmf: "9" }
    callback: sales
  - id: had-enough
    while: waiting
    when: { dtmf: "8" }
    end: { say: sorry }
  - id: given-up
    while: waiting
    when: { intent: goodbye }
    end: { say: sorry }
  - id: rather-later
    while: waiting
    when: { intent: call_me_back }
    callback: true
  - id: on-and-on
    while: human
    when: { intent: goodbye }
    transfer: desk
  - id: back-again
    while: human
    when: { intent: call_me_back }
    transfer: ai
"##;

#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) configs: Vec<Arc<Config>>,
    pub(super) rules: Vec<Arc<RuleSet>>,
}

impl Whole {
    pub(super) fn new(library: &Library) -> Self {
        let rules = DEFAULTS.map(|defaults| {
            let text = format!("{DESTINATIONS}{defaults}{RULES}");
            let loaded = RuleSet::load(&[SourceFile::main("rules.yaml", text.as_str())], &Environment::default());
            Arc::new(loaded.unwrap_or_else(|wrong| panic!("{wrong}")).rules)
        });
        let clips: Arc<BTreeSet<String>> = Arc::new(library.names().map(str::to_owned).collect());
        let configs = (0..CONFIGS).map(|number| Arc::new(config(number, &clips))).collect();
        Self { configs, rules: rules.into() }
    }
}

/// Each bit of the number is something else.
fn config(number: u64, clips: &Arc<BTreeSet<String>>) -> Config {
    let after_human = if number & 1 == 0 { AfterHuman::End } else { AfterHuman::Ai };
    let mut config = super::config(&after_human, (number & 2 != 0).then_some("sorry"));
    let when = [RecordingWhen::Consent, RecordingWhen::Answer, RecordingWhen::Rule, RecordingWhen::Consent];
    let consent = |yes, no| {
        let wait = Duration::from_secs(3);
        Some(ConsentPrompt { prompt: "consent".into(), yes, no, wait })
    };
    let at = usize::try_from(number / 2 % 4).unwrap_or(0);
    config.recording = Recording {
        when: when[at],
        channels: if number & 8 == 0 { RecordingChannels::Stereo } else { RecordingChannels::Parties },
        whisper: number & 8 != 0,
        pause: Duration::from_secs(4),
        consent: if number & 8 == 0 { consent(Some('1'), Some('2')) } else { consent(None, None) },
        ..Recording::default()
    };
    config.context_wait = if number & 4 == 0 { Duration::ZERO } else { Duration::from_millis(50) };
    config.media.clips = Arc::clone(clips);
    config.mailboxes = [
        ("office".to_owned(), mailbox(Some("greeting"))),
        ("bare".to_owned(), Mailbox { longest: Duration::from_secs(4), ..mailbox(None) }),
    ]
    .into();
    config.callbacks = Callbacks { allow: vec!["+49".into()], most: 3, ..Callbacks::default() };
    config.callbacks.ring_timeout = Duration::from_secs(9);
    config.callbacks.claim_lapses = Duration::from_secs(20);
    let agent = |party: usize, wrap_up: u64| AgentConfig {
        dial: Some(format!("sip:{}@{}", PARTIES[party].0, address(PARTIES[party].1).ip()).into()),
        skills: [(Arc::from("desk"), 5)].into(),
        wrap_up: Duration::from_secs(wrap_up),
        rest: Duration::from_secs(2),
        away_after: 4,
        ..AgentConfig::default()
    };
    config.agents =
        Agents { people: vec![("anna".to_owned(), agent(6, 0)), ("ben".to_owned(), agent(7, 3))], ..Agents::default() };
    let code = |keys: &str, act| FeatureCode { keys: keys.to_owned(), act };
    config.codes = FeatureCodes {
        human: vec![code("*7", CodeAct::HandBack), code("*2", CodeAct::Transfer("desk".into()))],
        caller: vec![code("*9", CodeAct::Transfer("later".into()))],
        ..FeatureCodes::default()
    };
    if let Some(carrier) = config.trunks.get_mut("carrier") {
        carrier.refers = number & 4 != 0;
        // Without them a trunk that asks is a trunk that fails.
        let (username, password) = (USERNAME.to_owned(), PASSWORD.to_owned());
        carrier.credentials = (number & 1 == 0).then_some(TrunkCredentials { realm: None, username, password });
    }
    config
}

/// A configuration with calls that are placed, and with what else a scenario wants.
pub(super) fn widened(config: &Config, scenario: &Scenario) -> Arc<Config> {
    let mut config = config.clone();
    config.outbound.from = Some("+4930900".to_owned());
    let campaign = Campaign { pace: Pace { at_once: 1, ..Pace::default() }, ..Campaign::default() };
    config.outbound.campaigns = [(CAMPAIGN.to_owned(), campaign)].into();
    if let Some(carrier) = config.trunks.get_mut("carrier") {
        carrier.gated = scenario.gated;
    }
    for (_, agent) in config.agents.people.iter_mut().filter(|_| scenario.watched) {
        let expires = Duration::from_secs(3_600);
        agent.dialogs = Some(DialogWatch { expires, credentials: None, busy_unless_told: false });
    }
    Arc::new(config)
}

fn mailbox(greeting: Option<&str>) -> Mailbox {
    Mailbox {
        greeting: greeting.map(Arc::from),
        longest: Duration::from_secs(12),
        shortest: Duration::from_secs(1),
        silence: Duration::from_secs(3),
    }
}
