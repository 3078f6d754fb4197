//! `rules`.

use super::{MOST_RULES, Reader, Source, Written};
use crate::{
    condition::Condition,
    evaluation::{Phase, RecordingAct},
    event::free_value,
    rule::{Given, Path, Rule, RuleAct, RuleVerb},
    text::{Fields, Key, Kind, Node, Problems, Style, to_json},
    transfer::TransferOptions,
};
use core::time::Duration;
use std::sync::Arc;

/// What `$` may name beside `$context.KEY` and declared facts.
const PATHS: [&str; 9] =
    ["caller", "called", "line", "trunk", "profile", "sentiment", "retries", "intent", "auth_failures"];

impl Reader<'_> {
    pub(super) fn rules(&mut self, index: usize, source: &Source, problems: &mut Problems) {
        let Some(section) = source.section("rules") else { return };
        let Kind::List(items) = &section.kind else {
            section.wrong(problems, "a list of rules", Some("begin each rule with `- id: NAME`"));
            return;
        };
        for node in items {
            if self.rules.len() >= MOST_RULES || problems.are_full() {
                problems.error(node.span, format!("more than {MOST_RULES} rules, or more mistakes than are told"));
                return;
            }
            self.rule(index, source, node, problems);
        }
    }

    fn rule(&mut self, index: usize, source: &Source, node: &Node, problems: &mut Problems) {
        let Some(mut fields) = Fields::new(node, "key", problems) else { return };
        let id_node = fields.need("id", problems);
        let id = id_node.and_then(|node| node.name(problems));
        let enabled = fields.take("enabled", problems).and_then(|it| it.boolean(problems)).unwrap_or(true);
        let phases = [("start", Phase::Start), ("ai", Phase::Ai), ("waiting", Phase::Waiting), ("human", Phase::Human)];
        let phase = fields.take("while", problems).and_then(|it| it.choice(problems, "phase", &phases));
        let phase = phase.unwrap_or_default();
        let first_leaf = self.leaves.len();
        let when_node = fields.take("when", problems);
        let when = when_node.and_then(|it| self.condition(it, problems));
        let once = fields.take("once", problems).and_then(|it| it.boolean(problems)).unwrap_or(false);
        let day = Duration::from_secs(24 * 3600);
        let cooldown = fields.take("cooldown", problems).and_then(|it| it.duration(problems, Duration::ZERO, day));
        fields.later(&["shadow", "priority", "percent"], problems);
        let acts = self.acts(&mut fields, problems);
        let verb = self.verb(&mut fields, phase, problems);
        let decides = ["transfer", "voicemail", "callback", "end"].iter().any(|key| fields.has(key));
        let asks_nothing = acts.is_empty() && !decides;
        let acts_written = ["set", "tag", "notify", "recording", "announce"].iter().any(|key| fields.has(key));
        if asks_nothing && !acts_written {
            let help =
                "add `transfer`, `voicemail`, `callback`, `end`, `announce`, `recording`, `tag`, `set` or `notify`";
            problems.error_with(node.span, "this rule does nothing", help);
        }
        fields.finish(problems);
        let Some(id) = id else { return };
        if let Some(first) = self.rules.iter().position(|rule| rule.id == id) {
            let (first, span) = (&self.written[first], id_node.map_or(node.span, |it| it.span));
            let file = if first.source == index { String::new() } else { format!("{}, ", first.file) };
            let help = format!("first in {file}line {}", first.span.line);
            problems.error_with(span, format!("the rule `{id}` is given twice"), help);
            return;
        }
        let moment = self.leaves[first_leaf..].iter().any(crate::condition::Leaf::is_moment);
        let rests = if verb.is_some() { self.cooldown } else { Duration::ZERO };
        self.rules.push(Rule {
            id,
            enabled,
            lines: source.lines.clone(),
            phase,
            when: when.unwrap_or(Condition::All(Vec::new())),
            moment,
            once,
            cooldown: cooldown.unwrap_or(rests),
            acts,
            verb,
        });
        self.written.push(Written {
            source: index,
            file: Arc::clone(&source.path),
            span: id_node.map_or(node.span, |it| it.span),
            when: when_node.map(|it| to_json(it).to_string()).unwrap_or_default(),
            when_span: when_node.map_or(node.span, |it| it.span),
        });
    }

    /// In the order in which they act.
    fn acts(&mut self, fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<RuleAct> {
        let mut acts = Vec::new();
        if let Some(node) = fields.take("set", problems) {
            let given = self.given_map(node, problems);
            acts.extend(given.into_iter().map(|(key, given)| RuleAct::Set(key, given)));
        }
        if let Some(node) = fields.take("tag", problems) {
            let tags = node.items().iter().filter_map(|item| item.name(problems));
            acts.extend(tags.map(RuleAct::Tag));
        }
        if let Some(node) = fields.take("notify", problems) {
            match &node.kind {
                Kind::Scalar(..) => {
                    let given = self.given(node, problems);
                    acts.extend(given.map(|given| RuleAct::Notify(vec![("text".into(), given)])));
                }
                _ => acts.push(RuleAct::Notify(self.given_map(node, problems))),
            }
        }
        acts.extend(fields.take("recording", problems).and_then(|it| recording(it, problems)).map(RuleAct::Recording));
        if let Some(node) = fields.take("announce", problems) {
            acts.extend(self.prompt(node, problems).map(RuleAct::Announce));
        }
        acts
    }

    fn verb(&mut self, fields: &mut Fields<'_>, phase: Phase, problems: &mut Problems) -> Option<RuleVerb> {
        let transfer = fields.take_entry("transfer");
        let voicemail = fields.take_entry("voicemail");
        let callback = fields.take_entry("callback");
        let end = fields.take_entry("end");
        let mut decides = [transfer, voicemail, callback, end].into_iter().flatten();
        if let (Some((first, _)), Some((key, _))) = (decides.next(), decides.next()) {
            let help = format!("keep `{}` or `{}`", first.text, key.text);
            problems.error_with(key.span, "a rule decides one thing", help);
        }
        if let Some((key, _)) = transfer.or(voicemail)
            && phase == Phase::Waiting
        {
            let help = "a transfer is under way already; `on_failure` says what follows it";
            problems.error_with(key.span, "a rule cannot transfer while the caller waits", help);
        }
        if let Some((_, node)) = voicemail.filter(|_| transfer.is_none()) {
            let name = node.name(problems)?;
            let mailbox = self.mailbox_named(&name, node.span, problems)?;
            let options = Box::new(TransferOptions::default());
            return Some(RuleVerb::Transfer { to: crate::mailbox::name_of(&mailbox), options });
        }
        if let Some((key, node)) = transfer {
            return self.transfer(key, node, phase, problems);
        }
        if let Some((_, node)) = callback {
            return self.callback(node, problems).map(RuleVerb::Callback);
        }
        let (key, node) = end?;
        if node.is_word("true") {
            return Some(RuleVerb::End { say: None });
        }
        if node.as_scalar().is_some() || matches!(node.kind, Kind::Empty) {
            problems.error_with(
                key.span,
                "`end` takes `true` or a prompt",
                "write `end: true` or `end: { say: PROMPT }`",
            );
            return None;
        }
        let mut fields = Fields::new(node, "key", problems)?;
        let say = fields.need("say", problems).and_then(|node| self.prompt(node, problems));
        fields.finish(problems);
        Some(RuleVerb::End { say })
    }

    fn transfer(&mut self, key: &Key, node: &Node, phase: Phase, problems: &mut Problems) -> Option<RuleVerb> {
        let mut options = TransferOptions::default();
        let to_node = match &node.kind {
            Kind::Map(_) => {
                let mut fields = Fields::new(node, "key", problems)?;
                let to = fields.need("to", problems);
                options = self.options(&mut fields, problems);
                fields.later(&["queue", "caller_id", "refer"], problems);
                fields.finish(problems);
                to?
            }
            Kind::Empty => {
                problems.error_with(key.span, "`transfer` has no value", "write `transfer: DESTINATION`");
                return None;
            }
            _ => node,
        };
        if matches!(to_node.as_scalar(), Some(("ai", _))) {
            if phase != Phase::Human {
                let help = "`transfer: ai` gives a caller back; it needs `while: human`";
                problems.error_with(to_node.span, "the AI has the caller, or will have", help);
            }
            return Some(RuleVerb::Transfer { to: "ai".into(), options: Box::new(options) });
        }
        let to = self.destination_named(to_node, problems)?;
        Some(RuleVerb::Transfer { to, options: Box::new(options) })
    }

    pub(super) fn given_map(&mut self, node: &Node, problems: &mut Problems) -> Vec<(Arc<str>, Given)> {
        let Some(mut fields) = Fields::new(node, "key", problems) else { return Vec::new() };
        let mut found = Vec::new();
        while let Some((key, node)) = fields.first_left() {
            if key.text.is_empty() || key.text.chars().count() > 64 || key.text.chars().any(char::is_control) {
                problems.error(key.span, "a context key has 1 to 64 characters and no control characters");
            } else if let Some(given) = self.given(node, problems) {
                found.push((Arc::from(key.text.as_str()), given));
            }
        }
        if found.len() > 32 {
            problems.error(node.span, format!("{} keys are too many, at most 32 are possible", found.len()));
        }
        found
    }

    /// A value, or `$path`.
    fn given(&mut self, node: &Node, problems: &mut Problems) -> Option<Given> {
        let Some((text, _)) =
            node.as_scalar().filter(|(text, style)| text.starts_with('$') && *style != Style::Literal)
        else {
            return free_value(node, problems).map(Given::Value);
        };
        let name = &text[1..];
        let path = match name {
            "caller" => Path::Caller,
            "called" => Path::Called,
            "line" => Path::Line,
            "trunk" => Path::Trunk,
            "profile" => Path::Profile,
            "sentiment" => Path::Sentiment,
            "retries" => Path::Retries,
            "intent" => Path::Intent,
            "auth_failures" => Path::AuthFailures,
            _ => match (name.strip_prefix("context."), self.facts.get(name)) {
                (_, Some(fact)) => Path::Declared(Arc::clone(fact)),
                (Some(key), _) if !key.is_empty() => Path::Context(key.to_owned()),
                _ => {
                    let facts = self.facts.keys().map(|name| &**name);
                    let known: Vec<String> = PATHS.into_iter().chain(facts).map(|name| format!("${name}")).collect();
                    let known: Vec<&str> = known.iter().map(String::as_str).chain(["$context.KEY"]).collect();
                    problems.unknown(node.span, "path", text, &known);
                    return None;
                }
            },
        };
        Some(Given::Path(path))
    }
}

/// `start`, `stop`, `resume`, `pause`, or `{ pause: 3m }`.
fn recording(node: &Node, problems: &mut Problems) -> Option<RecordingAct> {
    if !matches!(node.kind, Kind::Map(_)) {
        let words = [
            ("start", RecordingAct::Start),
            ("pause", RecordingAct::Pause(None)),
            ("resume", RecordingAct::Resume),
            ("stop", RecordingAct::Stop),
        ];
        return node.choice(problems, "thing to do with a recording", &words);
    }
    let mut fields = Fields::new(node, "key", problems)?;
    let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(3_600));
    let lasting = fields.need("pause", problems).and_then(|it| it.duration(problems, shortest, longest));
    fields.finish(problems);
    lasting.map(|lasting| RecordingAct::Pause(Some(lasting)))
}
