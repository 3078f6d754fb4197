//! `callback`, as a destination and as what a rule decides.

use super::Reader;
use crate::{
    callback::Callback,
    text::{Fields, Kind, Node, Problems},
};

impl Reader<'_> {
    /// `callback: LIST`, `callback: true`, or `callback: { list: LIST, say: PROMPT }`.
    pub(super) fn callback(&mut self, node: &Node, problems: &mut Problems) -> Option<Callback> {
        let callback = match &node.kind {
            Kind::Map(_) => {
                let mut fields = Fields::new(node, "key", problems)?;
                let list = fields.take("list", problems).and_then(|it| it.name(problems));
                let say = fields.take("say", problems).and_then(|it| self.prompt(it, problems));
                fields.finish(problems);
                Callback { list, say }
            }
            _ if node.is_word("true") => Callback::default(),
            Kind::Scalar(..) => Callback { list: Some(node.name(problems)?), say: None },
            _ => {
                node.wrong(problems, "the name of a list, `true`, or `{ list: NAME, say: PROMPT }`", None);
                return None;
            }
        };
        self.callback_used(node, &callback, problems);
        Some(callback)
    }

    /// Somebody may be called back: is there anything to say, and may anybody be called?
    pub(super) fn callback_used(&mut self, node: &Node, callback: &Callback, problems: &mut Problems) {
        if callback.say.is_none() {
            let prompt = callback.prompt();
            if self.environment.prompts.as_ref().is_some_and(|known| !known.contains(&*prompt)) {
                let help = "record one, or name another: `callback: { list: NAME, say: PROMPT }`";
                problems.warning(node.span, format!("there is no prompt `{prompt}`"), Some(help.into()));
            }
            self.prompts.insert(prompt);
        }
        if self.environment.callbacks == Some(false) {
            let help = "say in tandem.yaml whom: `callbacks: { allow: [\"+49\"] }`; until then the next step is taken";
            problems.warning(node.span, "nobody may be called back", Some(help.into()));
        }
    }
}
