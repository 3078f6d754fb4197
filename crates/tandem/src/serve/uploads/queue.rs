//! Which recordings wait to be uploaded, and until when: no clock, no chance and no file of its own.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Recordings that are remembered; more stay where they are, on the disk, and are looked for again.
const MOST: usize = 50_000;
/// The first pause after an attempt that failed, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// One recording, or message, on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// What its files are called by.
    pub(super) id: String,
    /// When it ended.
    pub(super) since: SystemTime,
    /// Attempts that failed.
    pub(super) attempts: u32,
}

/// Those that wait, those that are under way, and those that failed and wait for their time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: VecDeque<Job>,
    later: BTreeMap<(Instant, u64), Job>,
    known: HashSet<String>,
    under_way: BTreeMap<String, SystemTime>,
    serial: u64,
    /// There was no room for all of them.
    pub(super) overflowed: bool,
}

impl Queue {
    /// One more, unless it is known.
    pub(super) fn add(&mut self, id: String, since: SystemTime) {
        if self.known.len() >= MOST {
            self.overflowed = true;
        } else if self.known.insert(id.clone()) {
            self.ready.push_back(Job { id, since, attempts: 0 });
        }
    }

    /// The next whose time has come.
    pub(super) fn next(&mut self, now: Instant) -> Option<Job> {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            self.ready.push_back(entry.remove());
        }
        let job = self.ready.pop_front()?;
        self.under_way.insert(job.id.clone(), job.since);
        Some(job)
    }

    /// It is done with.
    pub(super) fn done(&mut self, id: &str) {
        self.under_way.remove(id);
        self.known.remove(id);
    }

    /// It failed: when it is tried again. `chance` is from 0 to 1.
    pub(super) fn failed(&mut self, now: Instant, mut job: Job, chance: f64) -> Duration {
        self.under_way.remove(&job.id);
        job.attempts = job.attempts.saturating_add(1);
        let pause = pause(job.attempts, chance);
        self.serial += 1;
        self.later.insert((now + pause, self.serial), job);
        pause
    }

    /// When there is something to do without anything having happened.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((due, _), _)| *due)
    }

    /// How many wait or are under way.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// When the one ended that has waited for longest.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        let waiting = self.ready.iter().chain(self.later.values()).map(|job| job.since);
        waiting.chain(self.under_way.values().copied()).min()
    }
}

/// Twice as long each time, and of that between a half and the whole: what failed together does not come back together.
fn pause(attempts: u32, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    doubled.min(LONGEST).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(ids: &[&str]) -> Queue {
        let mut queue = Queue::default();
        for (age, id) in ids.iter().enumerate() {
            queue.add((*id).to_owned(), SystemTime::UNIX_EPOCH + Duration::from_secs(age as u64));
        }
        queue
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_chance_shortens_them_by_half_at_the_most() {
        let all: Vec<_> = [1, 2, 3, 9, 10, 40].into_iter().map(|attempts| pause(attempts, 1.0).as_secs()).collect();
        assert_eq!(all, [1, 2, 4, 256, 300, 300]);
        assert_eq!(pause(3, 0.0), Duration::from_secs(2));
        assert_eq!(pause(u32::MAX, 0.5), Duration::from_secs(225));
    }

    #[test]
    fn what_failed_waits_its_time_while_the_others_go_on_and_counts_as_waiting() {
        let now = Instant::now();
        let mut queue = queue(&["a", "b", "a"]);
        assert_eq!(queue.len(), 2, "known once");
        let a = queue.next(now).unwrap();
        assert_eq!(queue.oldest(), Some(SystemTime::UNIX_EPOCH), "one under way has not arrived");
        let pause = queue.failed(now, a, 1.0);
        assert_eq!(queue.next(now).unwrap().id, "b");
        assert_eq!((queue.next(now), queue.next_due()), (None, Some(now + pause)));
        let again = queue.next(now + pause).unwrap();
        assert_eq!((again.id.as_str(), again.attempts), ("a", 1));
        queue.done("a");
        queue.done("b");
        assert_eq!((queue.len(), queue.oldest(), queue.next_due()), (0, None, None));
    }

    #[test]
    fn what_finds_no_room_is_looked_for_later() {
        let mut queue = Queue::default();
        for n in 0..=MOST {
            queue.add(n.to_string(), SystemTime::UNIX_EPOCH);
        }
        assert!(queue.overflowed && queue.len() == MOST);
    }
}
