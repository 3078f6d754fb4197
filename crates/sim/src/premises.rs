//! What all worlds share: the rules, the configurations, the clips, and who lives at which address.

mod whole;

use crate::{
    agent::{PASSWORD, USERNAME},
    scenario::{Scenario, Traffic},
};
use calls::{AfterHuman, AiFailureStep, AiProfile, Config, Route, Trunk};
use media_relay::{Clip, Codec, Library};
use policy::{Environment, RuleSet, SourceFile};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// The daemon's.
pub(crate) const HOUSE: &str = "10.0.0.1:5060";

/// Everybody else: the trunk, two AIs, humans, and from the seventh on those who live in worlds of the whole traffic alone, agents and a
/// supervisor.
pub(crate) const PARTIES: [(&str, &str); 9] = [
    ("trunk", "10.0.0.10:5060"),
    ("bot", "10.0.0.20:5060"),
    ("backup", "10.0.0.21:5060"),
    ("human", "10.0.0.30:5060"),
    ("other", "10.0.0.31:5060"),
    ("third", "10.0.0.32:5060"),
    ("anna", "10.0.0.33:5060"),
    ("ben", "10.0.0.34:5060"),
    ("boss", "10.0.0.35:5060"),
];

/// Who lives in a world.
pub(crate) fn parties(traffic: Traffic) -> &'static [(&'static str, &'static str)] {
    if traffic.is_whole() { &PARTIES } else { &PARTIES[..6] }
}

/// Where nobody lives.
pub(crate) const NOBODY: &str = "10.0.0.99:5060";

/// Destinations a transfer can be asked for.
pub(crate) const DESTINATIONS: [&str; 8] =
    ["human", "keyed", "both", "other", "team", "named", "quick", "sip:third@10.0.0.32"];

const RULES: &str = r#"
version: 1
destinations:
  human: { dial: "sip:human@10.0.0.30" }
  keyed: { dial: "sip:human@10.0.0.30", accept: { press: "1", within: 10s } }
  both:  { dial: ["sip:human@10.0.0.30", "sip:other@10.0.0.31"], ring: simultaneous, accept: { press: "1", within: 10s } }
  other: { dial: "sip:other@10.0.0.31", whisper: none }
  team:  { dial: ["sip:human@10.0.0.30", "sip:other@10.0.0.31", "sip:third@10.0.0.32"] }
  named: { dial: "sip:third@desk.example" }
  quick: { dial: "sip:third@10.0.0.32", ring_timeout: 3s, on_failure: [keyed, ai] }
defaults:
  transfer:
    caller_hears: { then: music/default }
    whisper: { prompt: incoming-handoff }
    on_failure: { busy: [other], declined: [end], else: [ai] }
rules:
  - id: three-misses
    when: { retries: { at_least: 3 } }
    transfer: { to: human, mode: cold }
"#;

/// Built once, shared by all worlds.
#[derive(Clone, Debug)]
pub struct Premises {
    rules: Arc<RuleSet>,
    configs: Vec<Arc<Config>>,
    whole: whole::Whole,
    pub(crate) library: Arc<Library>,
    /// What the words of parties are taken from: none is a clip's, none is silence.
    pub(crate) words: Vec<u8>,
    pub(crate) clips: Clips,
}

/// The constant samples of the clips.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Clips {
    /// Hold music.
    pub music: u8,
    /// What a human is told.
    pub whisper: u8,
    /// What else a human is told.
    pub said: u8,
    /// What a caller is told.
    pub announcement: u8,
}

/// Under which configurations and rules a world of the whole traffic may stand.
pub(crate) use whole::{CAMPAIGN, CONFIGS, RULE_SETS};

impl Premises {
    /// Reads the rules and makes the clips.
    pub fn new() -> Self {
        let rules = RuleSet::load(&[SourceFile::main("rules.yaml", RULES)], &Environment::default());
        let rules = rules.unwrap_or_else(|wrong| panic!("{wrong}")).rules;
        let mut library = Library::default();
        let mut clip = |name: &str, sample: i16, ms: usize| {
            library.insert(name, Clip::from_pcm16(&vec![sample; ms * 8]));
            library.clip(name).map_or(0, |clip| clip.encoded(Codec::Pcmu)[0] & 0x7f)
        };
        let clips = Clips {
            music: clip("music/default", 3_000, 10_000),
            whisper: clip("incoming-handoff", 6_000, 1_000),
            said: clip(whole::SAID, 9_000, 600),
            announcement: clip("sorry", 1_500, 1_500),
        };
        let mut taken = vec![clips.music, clips.whisper, clips.said, clips.announcement];
        taken.extend(whole::TOLD.map(|(name, sample, ms)| clip(name, sample, ms)));
        let words = (0x02..0x58).filter(|word| !taken.contains(word)).collect();
        let variants = [
            (AfterHuman::End, None),
            (AfterHuman::Ai, None),
            (AfterHuman::End, Some("sorry")),
            (AfterHuman::Ai, Some("sorry")),
        ];
        let configs = variants.into_iter().map(|(after, sorry)| Arc::new(config(&after, sorry))).collect();
        let whole = whole::Whole::new(&library);
        Self { rules: Arc::new(rules), configs, whole, library: Arc::new(library), words, clips }
    }

    /// The configuration that a scenario means by this number.
    pub(crate) fn config(&self, traffic: Traffic, number: usize) -> Arc<Config> {
        let configs = if traffic.is_whole() { &self.whole.configs } else { &self.configs };
        Arc::clone(&configs[number % configs.len()])
    }

    /// The same for what a scenario has beyond that.
    pub(crate) fn config_of(&self, traffic: Traffic, scenario: &Scenario) -> Arc<Config> {
        let config = self.config(traffic, scenario.config);
        if traffic == Traffic::Wide { whole::widened(&config, scenario) } else { config }
    }

    /// The rules that a scenario means by this number.
    pub(crate) fn rules(&self, traffic: Traffic, number: usize) -> Arc<RuleSet> {
        let rules = &self.whole.rules;
        if traffic.is_whole() { Arc::clone(&rules[number % rules.len()]) } else { Arc::clone(&self.rules) }
    }
}

impl Default for Premises {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address of this file")
}

fn config(after_human: &AfterHuman, ai_lost_announcement: Option<&str>) -> Config {
    let profile = |uri: &str, on_ai_failure: Vec<AiFailureStep>| AiProfile {
        uri: uri.into(),
        on_ai_failure,
        after_human: after_human.clone(),
        ..AiProfile::default()
    };
    let network = calls::Network { address: address(PARTIES[0].1).ip(), prefix: 32 };
    let last = match ai_lost_announcement {
        Some(name) => AiFailureStep::Announce(name.into()),
        None => AiFailureStep::Destination("other".into()),
    };
    let on_failure = vec![AiFailureStep::Profile("backup".into()), last];
    let mut config = Config {
        listeners: vec![address(HOUSE).into()],
        trunks: [(
            "carrier".into(),
            Trunk { host: "10.0.0.10".into(), allowed: vec![network], trusted: true, ..Trunk::default() },
        )]
        .into(),
        routes: vec![Route { called: "*".into(), line: "support".into(), ai: "bot".into(), ..Route::default() }],
        ai: [
            ("bot".into(), profile("sip:bot@10.0.0.20", on_failure)),
            ("backup".into(), profile("sip:backup@10.0.0.21", Vec::new())),
        ]
        .into(),
        ..Config::default()
    };
    config.media.ai_lost_announcement = ai_lost_announcement.map(str::to_owned);
    config
}

/// Everybody of this world may call; the trunk for a password alone, where that is said. Sessions last for long, for a minute, or no longer
/// than the standard lets them.
pub(crate) fn signaling(timers: usize, gated: bool) -> signaling::Config {
    let networks = |all: &[&str]| all.iter().map(|text| text.parse().expect("a network")).collect();
    let gate = signaling::Gate {
        name: "carrier".to_owned(),
        networks: networks(&["10.0.0.10/32"]),
        realm: "tandem".to_owned(),
        username: USERNAME.to_owned(),
        password: PASSWORD.to_owned(),
        digests: signaling::Digests::Both,
    };
    // Copies of what is wrong are wrong as well.
    let abuse = signaling::Abuse { failures: 1_000, ..signaling::Abuse::default() };
    let timer = |expires, min| signaling::SessionTimer {
        enabled: true,
        expires: Duration::from_secs(expires),
        min: Duration::from_secs(min),
    };
    signaling::Config {
        session_timer: [timer(1_800, 90), timer(60, 40), timer(90, 90)][timers % 3],
        listeners: vec![address(HOUSE).into()],
        allowed: networks(if gated { &["10.0.0.16/28", "10.0.0.32/28"] } else { &["10.0.0.0/24"] }),
        gates: if gated { vec![gate] } else { Vec::new() },
        abuse,
        ..signaling::Config::default()
    }
}
