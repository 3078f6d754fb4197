//! A caller who waits for an agent, as the call sees it.

use super::Call;
use crate::{directory::Waiter, step::Step, transfer::Acts};
use std::sync::Arc;

impl Call {
    /// The transfer under way has come to a queue.
    pub(super) fn wait_for_agent(&mut self, step: &mut Step<'_>) -> Acts {
        let Some(transfer) = &mut self.transfer else { return Acts::new() };
        let policy::Place::Queue(queue) = &transfer.spec.place else { return Acts::new() };
        let now = step.now.monotonic;
        let preferences = step.rules.preferences(&transfer.spec.to, &self.facts, step.now);
        let from = self.about.from.as_deref();
        let directory = &mut step.shared.directory;
        let candidates = directory.candidates(queue, &preferences, from, Some(step.key), now);
        let waiter = Waiter {
            call: step.key,
            name: Arc::clone(&transfer.spec.to),
            queue: queue.clone(),
            preferences,
            priority: transfer.spec.priority,
            from: from.map(Arc::from),
            entered: now,
        };
        let taken = directory.enqueue(waiter, now);
        transfer.record.candidates = candidates;
        match taken {
            Ok(()) => {
                transfer.queued(step);
                Acts::new()
            }
            Err(cause) => transfer.not_queued(step, cause),
        }
    }

    /// The caller is next: these agents are free for them.
    pub(crate) fn granted(&mut self, step: &mut Step<'_>, agents: &[Arc<str>]) {
        if self.transfer.is_none() {
            step.shared.directory.leave(step.key, crate::QueueOutcome::Cancelled, step.now.monotonic);
        }
        self.with_transfer(step, |transfer, step| transfer.granted(step, agents));
        self.settle(step);
    }
}
