//! `queue` of a destination, and agents as the files' own tests state them.

use super::Reader;
use crate::{
    queue::{AgentState, Attributes, LEVEL, Pick, PositionAnnouncement, Queue, Skills},
    test_run::Somebody,
    text::{Fields, Kind, Node, Problems},
};
use core::time::Duration;
use std::{collections::BTreeMap, sync::Arc};

const SECOND: Duration = Duration::from_secs(1);
/// The most skills of a queue or an agent.
const MOST_SKILLS: usize = 32;

impl Reader<'_> {
    pub(super) fn queue(&mut self, name: &str, node: &Node, problems: &mut Problems) -> Option<Queue> {
        let mut fields = Fields::new(node, "key", problems)?;
        let mut queue = Queue::default();
        if let Some(node) = fields.need("skills", problems) {
            queue.skills = self.skills(node, 1, problems);
        }
        let picks = [
            ("longest_idle", Pick::LongestIdle),
            ("least_calls", Pick::LeastCalls),
            ("best", Pick::Best),
            ("ordered", Pick::Ordered),
            ("simultaneous", Pick::Simultaneous),
        ];
        let pick = fields.take("pick", problems).and_then(|it| it.choice(problems, "way to pick", &picks));
        queue.pick = pick.unwrap_or_default();
        queue.sticky = fields.take("sticky", problems).and_then(|it| it.boolean(problems)).unwrap_or(false);
        if let Some(node) = fields.take("prefer", problems) {
            let wanted = self.given_map(node, problems);
            self.preferences.insert(name.into(), wanted);
        } else if let Some((key, _)) = fields.take_entry("relax_after").filter(|_| !fields.has("prefer")) {
            problems.error_with(key.span, "there is nothing to relax", "add `prefer: { language: de }`");
        }
        let hours = SECOND * 3_600 * 4;
        let relax = fields.take("relax_after", problems).and_then(|it| it.duration(problems, Duration::ZERO, hours));
        queue.relax_after = relax.unwrap_or_default();
        let overflow = fields.take("overflow_after", problems).and_then(|it| it.duration(problems, SECOND, hours));
        queue.overflow_after = overflow.unwrap_or(Queue::OVERFLOW_AFTER);
        let most = fields.take("overflow_at", problems).and_then(|it| it.whole(problems, 1..=10_000));
        queue.overflow_at = most.unwrap_or(Queue::OVERFLOW_AT);
        let unstaffed = [("leave", false), ("wait", true)];
        let unstaffed =
            fields.take("unstaffed", problems).and_then(|it| it.choice(problems, "way to go on", &unstaffed));
        queue.wait_unstaffed = unstaffed.unwrap_or(false);
        queue.announce = fields.take("announce", problems).and_then(|it| self.announcement(it, problems));
        fields.finish(problems);
        Some(queue)
    }

    fn announcement(&mut self, node: &Node, problems: &mut Problems) -> Option<PositionAnnouncement> {
        let mut fields = Fields::new(node, "key", problems)?;
        let position = fields.need("position", problems).and_then(|it| self.prompt(it, problems));
        let digits = match fields.take("digits", problems) {
            Some(node) => node.name(problems),
            None => Some("digit".into()),
        };
        let every = match fields.take("every", problems) {
            Some(node) => node.duration(problems, SECOND * 10, SECOND * 600),
            None => Some(SECOND * 30),
        };
        fields.finish(problems);
        let (digits, every) = (digits?, every?);
        self.prompts.extend((0..10).map(|digit| Arc::from(format!("{digits}-{digit}"))));
        Some(PositionAnnouncement { position: position?, digits, every })
    }

    /// `[fraud, sales]`, or `{ fraud: 7 }` with levels; `level` is meant where none is written.
    pub(super) fn skills(&mut self, node: &Node, level: u8, problems: &mut Problems) -> Skills {
        let mut skills = Skills::new();
        if let Kind::Map(entries) = &node.kind {
            for (key, value) in entries {
                let as_name = Node { kind: Kind::Scalar(key.text.clone(), crate::text::Style::Plain), span: key.span };
                let name = as_name.name(problems);
                let level = value.whole(problems, 1..=10).and_then(|level| u8::try_from(level).ok());
                skills.extend(name.zip(level));
            }
        } else {
            skills.extend(node.items().iter().filter_map(|item| Some((item.name(problems)?, level))));
        }
        if skills.is_empty() && !problems.any_error() {
            problems.error(node.span, "the list of skills is empty");
        }
        if skills.len() > MOST_SKILLS {
            problems.error(node.span, format!("{} skills are too many, at most {MOST_SKILLS}", skills.len()));
        }
        skills
    }

    /// `agents` of a test: `{ anna: { skills: [fraud], state: busy } }`.
    pub(super) fn somebody(&mut self, node: &Node, problems: &mut Problems) -> BTreeMap<Arc<str>, Somebody> {
        let mut agents = BTreeMap::new();
        let Some(mut entries) = Fields::new(node, "agent", problems) else { return agents };
        let states = AgentState::ALL.map(|state| (state.name(), state));
        while let Some((key, node)) = entries.first_left() {
            let Some(mut fields) = Fields::new(node, "key", problems) else { continue };
            let skills = fields.take("skills", problems).map(|it| self.skills(it, LEVEL, problems));
            let state = fields.take("state", problems).and_then(|it| it.choice(problems, "state", &states));
            let mut attributes = Attributes::new();
            if let Some(mut known) = fields.take("attributes", problems).and_then(|it| Fields::new(it, "key", problems))
            {
                while let Some((key, node)) = known.first_left() {
                    let values = node.items().iter().filter_map(|item| item.text(problems, 64).map(Arc::from));
                    attributes.insert(key.text.as_str().into(), values.collect());
                }
            }
            fields.finish(problems);
            let state = state.unwrap_or(AgentState::Available);
            agents.insert(key.text.as_str().into(), Somebody { skills: skills.unwrap_or_default(), attributes, state });
        }
        agents
    }
}
