//! `destinations` and `defaults`.

use super::{Place as Spot, Reader, Source, exactly_one, own_name, twice};
use crate::{
    text::{Fields, Node, Problems, short},
    transfer::{Destination, Dial, Place, Ring},
};
use core::time::Duration;
use std::sync::Arc;

/// The most targets of one destination.
const MOST_TARGETS: usize = 16;

impl Reader<'_> {
    pub(super) fn destination_names(&mut self, source: &Source, problems: &mut Problems) {
        let Some(section) = source.section("destinations") else { return };
        let Some(mut entries) = Fields::new(section, "destination", problems) else { return };
        while let Some((key, _)) = entries.first_left() {
            let Some(name) = own_name(key, "destination", problems) else { continue };
            if matches!(&*name, "ai" | "end" | "none") {
                problems.error_with(key.span, format!("`{name}` has a meaning of its own"), "choose another name");
                continue;
            }
            match self.destination_names.get(&name) {
                Some(Some(first)) => twice("destination", &name, first, key.span, problems),
                _ => {
                    let spot = Spot { file: Arc::clone(&source.path), span: key.span };
                    self.destination_names.insert(name, Some(spot));
                }
            }
        }
    }

    pub(super) fn destinations(&mut self, source: &Source, problems: &mut Problems) {
        let Some(section) = source.section("destinations") else { return };
        let Some(mut entries) = Fields::new(section, "destination", problems) else { return };
        while let Some((key, node)) = entries.first_left() {
            if let Some(destination) = self.destination(&key.text, node, problems) {
                self.destinations.insert(Arc::clone(&destination.name), destination);
            }
        }
    }

    fn destination(&mut self, name: &str, node: &Node, problems: &mut Problems) -> Option<Destination> {
        let mut fields = Fields::new(node, "key", problems)?;
        fields.later(&["caller_id", "cover"], problems);
        let kinds = ["dial", "ai", "agent", "queue", "voicemail", "callback"];
        let place = exactly_one(&mut fields, &kinds, name, problems);
        let trunk_node = fields.take("trunk", problems);
        let trunks = self.environment.trunks.as_ref();
        let trunk = trunk_node.and_then(|it| self.configured("trunk", trunks, it, problems));
        let rings = [("ordered", Ring::Ordered), ("simultaneous", Ring::Simultaneous)];
        let ring_node = fields.take("ring", problems);
        let fields_ring = ring_node.map(|it| it.span);
        let ring = ring_node.and_then(|it| it.choice(problems, "way to ring", &rings));
        let hours_node = fields.take("hours", problems);
        let hours_span = hours_node.map(|it| it.span);
        let hours = hours_node.and_then(|it| self.hours_named(it, problems));
        let hours = hours.map(|index| Arc::clone(&self.hours[index].name));
        let options = self.options(&mut fields, problems);
        fields.finish(problems);
        let place = match place? {
            ("ai", node) => {
                let profiles = self.environment.profiles.as_ref();
                Place::Ai { profile: Some(self.configured("AI profile", profiles, node, problems)?) }
            }
            ("voicemail", node) => {
                for (span, key) in [(trunk_node.map(|it| it.span), "trunk"), (fields_ring, "ring")] {
                    if let Some(span) = span {
                        problems.error_with(span, "a mailbox rings nobody", format!("leave `{key}` away"));
                    }
                }
                let name = node.name(problems)?;
                Place::Voicemail { mailbox: self.mailbox_named(&name, node.span, problems)? }
            }
            ("queue", node) => {
                if let Some(trunk) = trunk_node {
                    let why = "agents are reached where the configuration says";
                    problems.error_with(trunk.span, why, "leave `trunk` away");
                }
                if let Some(ring) = fields_ring {
                    problems.error_with(
                        ring,
                        "a queue offers its callers to one agent after the other",
                        "write `pick: simultaneous` in the queue to ring all at once",
                    );
                }
                Place::Queue(Box::new(self.queue(name, node, problems)?))
            }
            ("callback", node) => {
                for (key, odd) in
                    [("trunk", trunk_node.map(|it| it.span)), ("ring", fields_ring), ("hours", hours_span)]
                {
                    if let Some(span) = odd {
                        problems.error_with(span, "nobody is rung now", format!("leave `{key}` away"));
                    }
                }
                Place::Callback(self.callback(node, problems)?)
            }
            ("agent", node) => {
                if let Some(trunk) = trunk_node {
                    let why = "an agent's phones are reached where they registered";
                    problems.error_with(trunk.span, why, "leave `trunk` away");
                }
                let targets = self.agents(node, problems);
                Place::Dial(Dial { targets, trunk: None, ring: ring.unwrap_or_default() })
            }
            (_, node) => {
                let targets = targets(node, trunk_node.is_some(), problems);
                Place::Dial(Dial { targets, trunk, ring: ring.unwrap_or_default() })
            }
        };
        Some(Destination { name: name.into(), place, hours, options })
    }

    /// Accounts of agents, as targets.
    fn agents(&self, node: &Node, problems: &mut Problems) -> Vec<Arc<str>> {
        let known = self.environment.agents.as_ref();
        let items = most_targets(node, problems);
        let names = items.iter().filter_map(|item| self.configured("agent", known, item, problems));
        names.map(|name| format!("agent:{name}").into()).collect()
    }

    pub(super) fn defaults(&mut self, source: &Source, problems: &mut Problems) {
        let Some(section) = source.section("defaults") else { return };
        let Some(mut fields) = Fields::new(section, "key", problems) else { return };
        if let Some(mut rules) = fields.take("rules", problems).and_then(|it| Fields::new(it, "key", problems)) {
            let day = Duration::from_secs(24 * 3600);
            if let Some(cooldown) = rules.take("cooldown", problems) {
                self.cooldown = cooldown.duration(problems, Duration::ZERO, day).unwrap_or(self.cooldown);
            }
            if let Some(most) = rules.take("max_transfers", problems) {
                self.max_transfers = most.whole(problems, 0..=1000).unwrap_or(self.max_transfers);
            }
            rules.finish(problems);
        }
        if let Some(mut transfer) = fields.take("transfer", problems).and_then(|it| Fields::new(it, "key", problems)) {
            self.defaults = self.options(&mut transfer, problems);
            transfer.finish(problems);
        }
        fields.finish(problems);
    }
}

fn targets(node: &Node, has_trunk: bool, problems: &mut Problems) -> Vec<Arc<str>> {
    most_targets(node, problems).iter().filter_map(|item| target(item, has_trunk, problems)).collect()
}

fn most_targets<'n>(node: &'n Node, problems: &mut Problems) -> &'n [Node] {
    let items = node.items();
    if items.is_empty() {
        problems.error(node.span, "the list of addresses is empty");
    }
    if items.len() > MOST_TARGETS {
        problems.error(node.span, format!("{} addresses are too many, at most {MOST_TARGETS} are rung", items.len()));
    }
    items
}

/// A `sip:`, `sips:` or `tel:` URI, kept exactly as written.
fn target(node: &Node, has_trunk: bool, problems: &mut Problems) -> Option<Arc<str>> {
    let text = node.text(problems, 512)?;
    if text.contains('$') {
        problems.error_with(node.span, "an address cannot contain `$`", "where a call goes never comes from the call");
        return None;
    }
    if let Some(odd) = text.chars().find(|c| c.is_whitespace() || "<>\"{}|\\^`".contains(*c)) {
        problems.error(node.span, format!("an address cannot contain `{odd}`"));
        return None;
    }
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    match scheme.to_ascii_lowercase().as_str() {
        "sip" | "sips" => {
            let host = rest.rsplit('@').next().unwrap_or(rest);
            let host = host.split([';', '?']).next().unwrap_or(host);
            if host.is_empty() || host.starts_with(':') {
                problems.error_with(node.span, format!("`{}` has no host", short(text)), "write `sip:user@host`");
                return None;
            }
        }
        "tel" => {
            let number = rest.split(';').next().unwrap_or(rest);
            let digits = number.chars().filter(char::is_ascii_digit).count();
            let odd = number.chars().find(|c| !(c.is_ascii_digit() || "+-.()*#".contains(*c)));
            if digits == 0 || odd.is_some() {
                problems.error_with(node.span, format!("`{}` is not a number", short(text)), "write `tel:+15550199`");
                return None;
            }
            if !has_trunk {
                problems.error_with(node.span, "a `tel:` number needs a trunk", "add `trunk: NAME`");
                return None;
            }
        }
        _ => {
            let is_number = text.chars().all(|c| c.is_ascii_digit() || "+-. ()/".contains(c));
            let help = match (is_number, text.contains('@')) {
                (true, _) => format!("did you mean `tel:{}`?", short(text)),
                (_, true) => format!("did you mean `sip:{}`?", short(text)),
                _ => "an address begins `sip:`, `sips:` or `tel:`".to_owned(),
            };
            problems.error_with(node.span, format!("`{}` is not an address", short(text)), help);
            return None;
        }
    }
    Some(text.into())
}
