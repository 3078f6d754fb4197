//! A transfer's options: one reading for defaults, destinations, rules and requests.

use super::Reader;
use crate::{
    text::{Fields, Kind, Node, Problems},
    transfer::{
        ACCEPT_WITHIN, Accept, CallerHears, Cause, ColdBy, Detect, Hold, INTRODUCE_WITHIN, Introduce, Mode, OnFailure,
        ReleaseAi, SayIf, Start, Step, TransferOptions, Whisper,
    },
    whisper::{CLIP, LONGEST_TASK, MOST_WHISPERED},
};
use core::time::Duration;
use std::sync::Arc;

const SECOND: Duration = Duration::from_secs(1);
/// The highest priority.
const MOST_PRIORITY: u32 = 1_000;

impl Reader<'_> {
    pub(super) fn options(&mut self, fields: &mut Fields<'_>, problems: &mut Problems) -> TransferOptions {
        let modes = [("warm", Mode::Warm), ("cold", Mode::Cold)];
        let starts = [("after_speech", Start::AfterSpeech), ("now", Start::Now), ("on_ready", Start::OnReady)];
        let releases = [("at_once", ReleaseAi::AtOnce), ("at_bridge", ReleaseAi::AtBridge), ("stay", ReleaseAi::Stay)];
        let carriers = [("bridge", ColdBy::Bridge), ("refer", ColdBy::Refer)];
        let detections = [("machine", Detect::Machine), ("none", Detect::None)];
        let take = |fields: &mut Fields<'_>, key, problems: &mut Problems| fields.take(key, problems).cloned();
        let long = Duration::from_secs(600);
        let introduction = take(fields, "introduce", problems);
        let options = TransferOptions {
            mode: take(fields, "mode", problems).and_then(|it| it.choice(problems, "mode", &modes)),
            ring_timeout: take(fields, "ring_timeout", problems).and_then(|it| it.duration(problems, SECOND, long)),
            start: take(fields, "start", problems).and_then(|it| it.choice(problems, "start", &starts)),
            drain_max: take(fields, "drain_max", problems)
                .and_then(|it| it.duration(problems, Duration::ZERO, Duration::from_secs(60))),
            predial: take(fields, "predial", problems).and_then(|it| it.boolean(problems)),
            caller_hears: take(fields, "caller_hears", problems).and_then(|it| self.caller_hears(&it, problems)),
            whisper: take(fields, "whisper", problems).and_then(|it| self.whisper(&it, problems)),
            accept: take(fields, "accept", problems).and_then(|it| accept(&it, problems)),
            detect: take(fields, "detect", problems).and_then(|it| it.choice(problems, "detection", &detections)),
            introduce: introduction.as_ref().and_then(|it| introduce(it, problems)),
            release_ai: take(fields, "release_ai", problems).and_then(|it| it.choice(problems, "moment", &releases)),
            cold_by: take(fields, "cold_by", problems).and_then(|it| it.choice(problems, "way", &carriers)),
            context: take(fields, "context", problems).map(|it| context_keys(&it, problems)),
            context_wait: take(fields, "context_wait", problems)
                .and_then(|it| it.duration(problems, Duration::ZERO, Duration::from_millis(500))),
            priority: take(fields, "priority", problems).and_then(|it| it.whole(problems, 0..=MOST_PRIORITY)),
            on_failure: take(fields, "on_failure", problems).and_then(|it| self.on_failure(&it, problems)),
        };
        let released = options.release_ai.or((options.mode == Some(Mode::Cold)).then_some(ReleaseAi::AtOnce));
        if let (Some(node), Some(Some(_)), Some(ReleaseAi::AtOnce)) = (introduction, &options.introduce, released) {
            let help = "add `release_ai: at_bridge` or `release_ai: stay`";
            problems.error_with(node.span, "the AI has left before it could introduce anybody", help);
        }
        options
    }

    fn caller_hears(&mut self, node: &Node, problems: &mut Problems) -> Option<CallerHears> {
        let mut fields = Fields::new(node, "key", problems)?;
        let mut hears = CallerHears::default();
        if let Some(say) = fields.take("say", problems) {
            hears.say = self.prompt(say, problems);
        }
        if let Some(say_if) = fields.take("say_if", problems) {
            let words = [("ai_quiet", SayIf::AiQuiet), ("always", SayIf::Always)];
            hears.say_if = say_if.choice(problems, "condition", &words).unwrap_or_default();
            if hears.say.is_none() && !fields.has("say") {
                problems.error_with(say_if.span, "there is nothing to say", "add `say: PROMPT`");
            }
        }
        if let Some(then) = fields.take("then", problems) {
            if then.is_word("ringback") {
                hears.then = Hold::Ringback;
            } else if let Some(music) = self.prompt(then, problems) {
                hears.then = Hold::Music(music);
            }
        } else if let Hold::Music(name) = &hears.then {
            self.prompts.insert(Arc::clone(name));
        }
        fields.finish(problems);
        Some(hears)
    }

    fn whisper(&mut self, node: &Node, problems: &mut Problems) -> Option<Whisper> {
        if node.is_word("none") || matches!(&node.kind, Kind::Scalar(text, _) if text == "none") {
            return Some(Whisper::None);
        }
        if node.as_scalar().is_some() {
            node.wrong(
                problems,
                "`{ prompt: NAME }`, `{ context: [KEY, ...] }`, `{ clip: 5s }`, `{ ai: brief }` or `none`",
                None,
            );
            return None;
        }
        let mut fields = Fields::new(node, "key", problems)?;
        if let Some(clip) = fields.take("clip", problems) {
            for other in ["context", "ai"] {
                if let Some((at, _)) = fields.take_entry(other) {
                    let help = "leave one of them away";
                    problems.error_with(
                        at.span,
                        format!("either the caller's own words are heard, or `{other}`"),
                        help,
                    );
                }
            }
            let lasting = clip.duration(problems, *CLIP.start(), *CLIP.end());
            let prompt = fields.take("prompt", problems).and_then(|it| self.prompt(it, problems));
            fields.finish(problems);
            return lasting.map(|lasting| Whisper::Clip { lasting, prompt });
        }
        let keys = fields.take("context", problems).map(|it| context_keys(it, problems));
        let whisper = match fields.take("ai", problems) {
            Some(ai) => {
                if keys.is_some() || fields.has("prompt") {
                    problems.error_with(ai.span, "either the AI whispers, or prompts do", "leave one of them away");
                }
                fields.take("prompt", problems);
                ai.text(problems, LONGEST_TASK).map(|task| Whisper::Ai(task.into()))
            }
            None => match keys {
                Some(keys) => {
                    let prompt = fields.take("prompt", problems).and_then(|it| self.prompt(it, problems));
                    if keys.is_empty() || keys.len() > MOST_WHISPERED {
                        problems.error(
                            node.span,
                            format!("`context` tells 1 to {MOST_WHISPERED} keys, found {}", keys.len()),
                        );
                    }
                    Some(Whisper::Context { keys, prompt })
                }
                None => {
                    let prompt = fields.need("prompt", problems).and_then(|it| self.prompt(it, problems));
                    prompt.map(Whisper::Prompt)
                }
            },
        };
        fields.finish(problems);
        whisper
    }

    pub(super) fn on_failure(&mut self, node: &Node, problems: &mut Problems) -> Option<OnFailure> {
        match &node.kind {
            Kind::Map(_) => self.on_failure_by_cause(node, problems),
            _ => Some(OnFailure::always(self.steps(node, problems))),
        }
    }

    fn on_failure_by_cause(&mut self, node: &Node, problems: &mut Problems) -> Option<OnFailure> {
        let mut fields = Fields::new(node, "cause", problems)?;
        let mut lists = OnFailure::default();
        for cause in Cause::ALL {
            if let Some(node) = fields.take(cause.name(), problems) {
                let steps = self.steps(node, problems);
                lists.by_cause.insert(cause, steps);
            }
        }
        if let Some(node) = fields.take("else", problems) {
            lists.otherwise = Some(self.steps(node, problems));
        }
        fields.finish(problems);
        Some(lists)
    }

    fn steps(&mut self, node: &Node, problems: &mut Problems) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for item in node.items() {
            let step = match item.as_scalar() {
                Some(("ai", _)) => Some(Step::Ai),
                Some(("end", _)) => Some(Step::End),
                _ => self.destination_named(item, problems).map(Step::Destination),
            };
            let Some(step) = step else { continue };
            match steps.last() {
                Some(last @ (Step::Ai | Step::End)) => {
                    let message = format!("nothing follows `{}`", last.name());
                    problems.warning(item.span, message, Some("this step is never reached".into()));
                }
                _ if steps.contains(&step) => {
                    let help = "each destination is tried once per transfer";
                    problems.warning(item.span, format!("`{}` is named twice", step.name()), Some(help.into()));
                }
                _ => {}
            }
            steps.push(step);
        }
        if steps.len() > 16 {
            problems.error(node.span, format!("{} steps are too many, at most 16 are walked", steps.len()));
        }
        steps
    }
}

/// `{ press: "1", within: 10s }`, or `none` where a level below asks for it.
#[expect(clippy::option_option, reason = "absent, none, and a key are three answers")]
fn accept(node: &Node, problems: &mut Problems) -> Option<Option<Accept>> {
    if matches!(node.as_scalar(), Some(("none", _))) {
        return Some(None);
    }
    if node.as_scalar().is_some() {
        node.wrong(problems, "`{ press: \"1\", within: 10s }` or `none`", None);
        return None;
    }
    let mut fields = Fields::new(node, "key", problems)?;
    let press = fields.need("press", problems).and_then(|it| digit(it, problems));
    let within = match fields.take("within", problems) {
        Some(node) => node.duration(problems, SECOND, Duration::from_secs(120)),
        None => Some(ACCEPT_WITHIN),
    };
    fields.finish(problems);
    Some(Some(Accept { press: press?, within: within? }))
}

/// `{ within: 20s, press: "#" }`, or `none` where a level below asks for it.
#[expect(clippy::option_option, reason = "absent, none, and an introduction are three answers")]
fn introduce(node: &Node, problems: &mut Problems) -> Option<Option<Introduce>> {
    if matches!(node.as_scalar(), Some(("none", _))) {
        return Some(None);
    }
    if node.as_scalar().is_some() {
        node.wrong(problems, "`{ within: 20s }` or `none`", None);
        return None;
    }
    let mut fields = Fields::new(node, "key", problems)?;
    let within = match fields.take("within", problems) {
        Some(node) => node.duration(problems, SECOND, Duration::from_secs(300)),
        None => Some(INTRODUCE_WITHIN),
    };
    let press = fields.take("press", problems).map(|it| digit(it, problems));
    fields.finish(problems);
    if press == Some(None) {
        return None;
    }
    Some(Some(Introduce { within: within?, press: press.flatten() }))
}

fn digit(node: &Node, problems: &mut Problems) -> Option<char> {
    let text = match node.as_scalar() {
        Some((text, crate::text::Style::Literal)) => {
            node.wrong(problems, "a key as text, such as \"1\"", Some(&format!("write \"{text}\"")));
            return None;
        }
        _ => node.text(problems, 16)?,
    };
    let mut keys = text.chars();
    match (keys.next().map(|key| key.to_ascii_uppercase()), keys.next()) {
        (Some(key), None) if is_key(key) => Some(key),
        _ => {
            node.wrong(problems, "one key of a telephone: 0 to 9, `*`, `#`, A to D", None);
            None
        }
    }
}

pub(super) fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')
}

fn context_keys(node: &Node, problems: &mut Problems) -> Vec<Arc<str>> {
    node.items().iter().filter_map(|item| item.text(problems, 64)).map(Arc::from).collect()
}
