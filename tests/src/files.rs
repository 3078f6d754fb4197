//! The files most tests start from: a trunk that may call from loopback, one AI profile, humans on one address.

use crate::Files;
use std::net::SocketAddr;

/// `tandem.yaml` and `rules.yaml` for a test: the AI and the humans listen where the test says.
///
/// Destinations: `frontdesk`, `retention`, `verification`, `closer` (asks for 1), `fraud` (whispers first). Rules: the six that the
/// shipped file has too, without a cooldown, so that one call can see several transfers.
pub fn standard(ai: SocketAddr, human: SocketAddr) -> Files {
    Files { configuration: configuration(ai, human), rules: rules(human) }
}

fn configuration(ai: SocketAddr, human: SocketAddr) -> String {
    format!(
        r#"
sip:
  listeners: ["udp:{{ip}}:5060"]
trunks:
  carrier:
    address: {human}
    allowed: [127.0.0.0/8]
    trusted: true
    tel: ["+"]
routes:
  - {{ number: "*", line: support, ai: agent }}
ai:
  agent:
    uri: "sip:agent@{ai}"
    ring_timeout: 5s
    silence_limit: 15s
    on_ai_failure: [frontdesk]
    after_human: end
media:
  address: {{ip}}
  ports: 20000-23999
  codecs: [pcmu, pcma]
  prompts: {root}/etc/prompts
  music: music
rules: rules.yaml
control: {{ socket: control.sock }}
cdr: {{ path: cdr.jsonl }}
ledger: {{ path: ledger.db }}
limits: {{ calls_per_second: 1000 }}
logging: {{ redact: false }}
"#,
        root = crate::root().display(),
    )
}

fn rules(human: SocketAddr) -> String {
    format!(
        r#"
version: 1
facts:
  lead.value: {{ type: number, from: lead, default: 0 }}
defaults:
  rules: {{ cooldown: 0s, max_transfers: 1000 }}
  transfer:
    mode: warm
    ring_timeout: 2s
    start: now
    caller_hears: {{ then: music/default }}
    whisper: none
    on_failure: [ai]
destinations:
  frontdesk:    {{ dial: "sip:frontdesk@{human}" }}
  retention:    {{ dial: "sip:retention@{human}" }}
  verification: {{ dial: "sip:verification@{human}" }}
  closer:       {{ dial: "sip:closer@{human}", accept: {{ press: "1", within: 2s }} }}
  fraud:        {{ dial: "sip:fraud@{human}" }}
rules:
  - id: unknown-transaction
    when: {{ intent: {{ is: [unknown_transaction, card_stolen], confidence: 0.6 }} }}
    transfer: {{ to: fraud, whisper: {{ prompt: incoming-handoff }} }}
  - id: angry-caller
    when: {{ sentiment: {{ below: -0.5, last: 2 }} }}
    transfer: retention
  - id: three-misses
    when: {{ retries: {{ at_least: 3 }} }}
    transfer: {{ to: frontdesk, mode: cold }}
  - id: big-lead
    when: {{ all: [ {{ intent_seen: enterprise_plan }}, {{ fact: lead.value, at_least: 10000 }} ] }}
    transfer: closer
  - id: locked-out
    when: {{ auth_failures: {{ at_least: 2 }} }}
    transfer: verification
"#
    )
}
