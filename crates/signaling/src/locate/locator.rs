//! The machine around the procedure: what is remembered, who waits for what, and for how long.

use super::{Able, Answer, Found, Question, Target, Wanted, targets};
use clock::{Monotonic, Now, Timers};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// No name is believed to be absent for longer: somebody may be waiting for the record that was just made.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(60);
/// After a failure with an older answer at hand, the DNS is left alone for so long (RFC 8767 section 5).
const RECHECK: Duration = Duration::from_secs(30);
/// After the first failure without one; each further failure doubles it, up to a minute.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// What a locator is told at birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// What our listeners reach.
    pub able: Able,
    /// How long a location may take. A question that is not answered after half of it counts as failed.
    pub timeout: Duration,
    /// An answer is used for at least so long, whatever its TTL says.
    pub ttl_min: Duration,
    /// And for no longer than this.
    pub ttl_max: Duration,
    /// How long the last good answer stands in for one that cannot be had.
    pub last_good: Duration,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of a locator's tables.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Locations under way; beyond them a location is answered at once with what is remembered.
    pub locations: usize,
    /// Questions under way; beyond them likewise.
    pub questions: usize,
    /// Answers remembered; the one that has not been used for the longest time goes.
    pub answers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { locations: 4_096, questions: 1_024, answers: 4_096 }
    }
}

/// Joins [`Input::Locate`] to [`Output::Located`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocateId(pub u64);

/// What happens to a locator.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody is to be found.
    Locate {
        /// For the answer.
        id: LocateId,
        /// Whom.
        wanted: Wanted,
    },
    /// The outcome of [`Output::Ask`]; late ones are still remembered.
    Answered {
        /// What was asked.
        question: Question,
        /// What the DNS said.
        answer: Answer,
        /// For how long it may be remembered, by the DNS.
        ttl: Duration,
    },
}

/// What a locator wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the DNS, and answer [`Input::Answered`].
    Ask(Question),
    /// The outcome of [`Input::Locate`]: where to send, in order; empty when nothing leads there. Exactly once a location, within
    /// [`Config::timeout`].
    Located {
        /// Which.
        id: LocateId,
        /// Where.
        targets: Vec<Target>,
    },
}

/// Finds servers and remembers what it learned.
///
/// ```text
/// a location    Locate ──> all is remembered? ──yes──────────────────────────────> Located
///                               │ no: Ask what is not, together with whoever asks it, too
///                               v
///                            waiting ──answers, each tried again──────────────────> Located
///                               └──── timeout: with what is known by then ────────> Located
/// an answer     asked ──records──> fresh ──TTL──> forgotten, but kept as the last good one
///                  └──failed, half the timeout──> the last good one stands in, the DNS rests; doubling where there is none
/// ```
/// A name that has vanished (NXDOMAIN) is believed; only where nothing else leads to a server do its last good records count.
#[derive(Debug)]
pub struct Locator {
    config: Config,
    chance: StdRng,
    known: BTreeMap<Question, Known>,
    asked: BTreeMap<Question, Asked>,
    numbers: BTreeMap<u64, Question>,
    locations: BTreeMap<u64, Location>,
    timers: Timers<Timer>,
    next: u64,
    out: VecDeque<Output>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// When a location is answered with what is known.
    Location(u64),
    /// When a question counts as failed.
    Question(u64),
}

#[derive(Debug)]
struct Known {
    answer: Answer,
    until: Monotonic,
    /// The last answer with records, and when it came.
    good: Option<(Answer, Monotonic)>,
    /// In a row.
    failures: u32,
    /// There was an answer before them.
    answered: bool,
    used: Cell<Monotonic>,
}

#[derive(Debug)]
struct Asked {
    number: u64,
    waiting: Vec<u64>,
}

#[derive(Debug)]
struct Location {
    id: LocateId,
    wanted: Wanted,
    seed: u64,
}

impl Locator {
    /// A locator that knows nothing. Everything random comes from `seed`.
    pub fn new(config: Config, seed: u64, now: Now) -> Self {
        let _ = now;
        Self {
            config,
            chance: StdRng::seed_from_u64(seed),
            known: BTreeMap::new(),
            asked: BTreeMap::new(),
            numbers: BTreeMap::new(),
            locations: BTreeMap::new(),
            timers: Timers::default(),
            next: 0,
            out: VecDeque::new(),
        }
    }

    /// Takes one input. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        let now = now.monotonic;
        match input {
            Input::Locate { id, wanted } => self.locate(now, id, wanted),
            Input::Answered { question, answer, ttl } => {
                // Our own timer has said so already.
                if answer != Answer::Failed || self.asked.contains_key(&question) {
                    self.answered(now, &question, answer, ttl);
                }
            }
        }
    }

    /// Fires every timer that is due. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = now.monotonic;
        while let Some(timer) = self.timers.pop_expired(now) {
            match timer {
                Timer::Location(number) => self.give_up(now, number),
                Timer::Question(number) => {
                    if let Some(question) = self.numbers.get(&number).cloned() {
                        self.answered(now, &question, Answer::Failed, Duration::ZERO);
                    }
                }
            }
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        self.timers.next_timeout()
    }

    /// Locations and questions under way, and answers remembered.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.locations.len(), self.asked.len(), self.known.len())
    }

    fn locate(&mut self, now: Monotonic, id: LocateId, wanted: Wanted) {
        self.next += 1;
        let (number, seed) = (self.next, self.chance.next_u64());
        let full = self.locations.len() >= self.config.limits.locations;
        self.locations.insert(number, Location { id, wanted, seed });
        if full {
            return self.give_up(now, number);
        }
        self.timers.set(Timer::Location(number), now + self.config.timeout);
        self.go_on(now, number);
    }

    /// Looks how far a location comes with what is remembered now.
    fn go_on(&mut self, now: Monotonic, number: u64) {
        let Some(location) = self.locations.get(&number) else { return };
        let due = RefCell::new(Vec::new());
        let known = |question: &Question| {
            self.fresh(now, question).or_else(|| {
                let stand_in = self.stand_in(now, question)?;
                due.borrow_mut().push(question.clone());
                Some(stand_in)
            })
        };
        let found = targets(&location.wanted, &self.config.able, location.seed, known);
        for question in due.into_inner() {
            self.ask(now, question, None);
        }
        match found {
            Found::Targets(targets) => self.finish(now, number, targets),
            Found::Questions(questions) => {
                for question in questions {
                    if !self.ask(now, question, Some(number)) {
                        return self.give_up(now, number);
                    }
                }
            }
        }
    }

    /// Asks, for a location that waits or for those to come. False when no more can be asked.
    fn ask(&mut self, now: Monotonic, question: Question, location: Option<u64>) -> bool {
        if let Some(asked) = self.asked.get_mut(&question) {
            asked.waiting.extend(location.filter(|location| !asked.waiting.contains(location)));
            return true;
        }
        if self.asked.len() >= self.config.limits.questions {
            return false;
        }
        self.next += 1;
        self.timers.set(Timer::Question(self.next), now + self.config.timeout / 2);
        self.numbers.insert(self.next, question.clone());
        self.asked.insert(question.clone(), Asked { number: self.next, waiting: location.into_iter().collect() });
        self.out.push_back(Output::Ask(question));
        true
    }

    fn answered(&mut self, now: Monotonic, question: &Question, answer: Answer, ttl: Duration) {
        self.remember(now, question, answer, ttl);
        let Some(asked) = self.asked.remove(question) else { return };
        self.numbers.remove(&asked.number);
        self.timers.cancel(Timer::Question(asked.number));
        for location in asked.waiting {
            self.go_on(now, location);
        }
    }

    fn remember(&mut self, now: Monotonic, question: &Question, answer: Answer, ttl: Duration) {
        let mut known = self.known.remove(question).unwrap_or_else(|| Known {
            answer: Answer::Nothing,
            until: now,
            good: None,
            failures: 0,
            answered: false,
            used: Cell::new(now),
        });
        known.good.take_if(|(_, got)| now.since(*got) > self.config.last_good);
        let (ttl_min, ttl_max) = (self.config.ttl_min, self.config.ttl_max.max(self.config.ttl_min));
        let ttl = ttl.clamp(ttl_min, ttl_max);
        let age_s = known.good.as_ref().map(|(_, got)| now.since(*got).as_secs());
        let wait = if answer == Answer::Failed {
            known.failures = known.failures.saturating_add(1);
            if known.failures == 1 {
                match age_s {
                    Some(age_s) => {
                        tracing::warn!(%question, age_s, "the DNS gives no answer; its last good one is used");
                    }
                    None => tracing::warn!(%question, "the DNS gives no answer, and there is no older one"),
                }
            }
            match known.answered {
                true => RECHECK,
                false => (FIRST_RETRY * (1 << (known.failures - 1).min(6))).min(LAST_RETRY),
            }
        } else {
            if known.failures > 0 {
                tracing::info!(%question, failures = known.failures, "the DNS answers again");
                known.failures = 0;
            }
            known.answered = true;
            if answer.has_records() {
                known.good = Some((answer.clone(), now));
                ttl
            } else {
                if let Some(age_s) = age_s.filter(|_| known.answer.has_records()) {
                    tracing::warn!(%question, age_s, "gone from the DNS; used on only where nothing else leads to a server");
                }
                ttl.min(LONGEST_NEGATIVE.max(ttl_min))
            }
        };
        (known.answer, known.until) = (answer, now + wait);
        known.used.set(now);
        if self.known.len() >= self.config.limits.answers {
            let oldest =
                self.known.iter().min_by_key(|(_, known)| known.used.get()).map(|(question, _)| question.clone());
            if let Some(oldest) = oldest {
                self.known.remove(&oldest);
            }
        }
        self.known.insert(question.clone(), known);
    }

    /// What is remembered and may be used as if it had just been said.
    fn fresh(&self, now: Monotonic, question: &Question) -> Option<&Answer> {
        let known = self.known.get(question).filter(|known| now < known.until)?;
        known.used.set(now);
        match (&known.answer, self.good(now, known)) {
            (Answer::Failed, Some(good)) => Some(good),
            (answer, _) => Some(answer),
        }
    }

    /// While the DNS fails, what it said before goes on being used, and nobody waits for it to be asked again.
    fn stand_in(&self, now: Monotonic, question: &Question) -> Option<&Answer> {
        let known = self.known.get(question).filter(|known| known.failures > 0 && known.answered)?;
        known.used.set(now);
        Some(self.good(now, known).unwrap_or(&known.answer))
    }

    fn good<'a>(&self, now: Monotonic, known: &'a Known) -> Option<&'a Answer> {
        known.good.as_ref().filter(|(_, got)| now.since(*got) <= self.config.last_good).map(|(answer, _)| answer)
    }

    /// The time is over: what is not known counts as failed.
    fn give_up(&mut self, now: Monotonic, number: u64) {
        let found = self.remembered(number, |question| {
            let known = self.known.get(question);
            self.fresh(now, question).or_else(|| self.good(now, known?))
        });
        self.finish(now, number, found);
    }

    fn remembered<'a>(&'a self, number: u64, known: impl Fn(&Question) -> Option<&'a Answer>) -> Vec<Target> {
        let Some(location) = self.locations.get(&number) else { return Vec::new() };
        let known = |question: &Question| Some(known(question).unwrap_or(&Answer::Failed));
        match targets(&location.wanted, &self.config.able, location.seed, known) {
            Found::Targets(targets) => targets,
            Found::Questions(_) => Vec::new(),
        }
    }

    fn finish(&mut self, now: Monotonic, number: u64, mut found: Vec<Target>) {
        if found.is_empty() {
            // A bad day: whatever once led there counts more than that it is gone.
            found = self.remembered(number, |question| {
                let known = self.known.get(question)?;
                Some(self.good(now, known).unwrap_or(&known.answer))
            });
        }
        self.timers.cancel(Timer::Location(number));
        let Some(location) = self.locations.remove(&number) else { return };
        if found.is_empty() {
            tracing::debug!(wanted = %location.wanted, "nothing leads there");
        }
        self.out.push_back(Output::Located { id: location.id, targets: found });
    }
}
