//! An AI that says that it is to be found elsewhere (3xx, RFC 3261 section 8.1.3.4). It is followed while it is being reached
//! and as far as its profile says; what it was told, and how long it may take, stay what they were.

use super::{Call, Stage};
use crate::{
    AiProfile, Happening,
    leg::Leg,
    redirect::{self, Redirections},
    step::{Step, Timer},
};
use serde::{Deserialize, Serialize};
use signaling::LegId;
use std::{collections::VecDeque, sync::Arc};

/// Where an AI that is being reached has moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moved {
    /// Where it is dialled now, unless that is where its profile says.
    at: Option<Arc<str>>,
    /// Where else it may be, the most wanted first.
    left: VecDeque<Arc<str>>,
    redirections: Redirections,
}

impl Call {
    /// Where the AI of the profile in charge is dialled.
    pub(super) fn ai_target(&self, profile: &AiProfile) -> Arc<str> {
        let moved = self.moved.as_ref().and_then(|moved| moved.at.clone());
        moved.unwrap_or_else(|| profile.uri.as_str().into())
    }

    /// The AI's leg came to nothing before it was answered; `contacts` are what its 3xx named. Where it may be elsewhere, it is
    /// dialled there. True: another leg has taken its place.
    pub(super) fn ai_moves(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        sip_code: Option<u16>,
        contacts: &[String],
    ) -> bool {
        let gone = |it: &Leg| it.record.answered.is_some() || it.is_closing();
        if self.ai != Some(leg) || self.stage == Stage::Ending || self.leg(leg).is_none_or(gone) {
            return false;
        }
        let config = Arc::clone(step.config);
        let Some(profile) = config.ai.get(&self.profile) else { return false };
        let ways_to = |target: &str| redirect::ways_to_ai(&config, profile, &self.profile, target);
        if !contacts.is_empty() {
            let from = self.ai_target(profile);
            let moved = self.moved.get_or_insert_default();
            let (to, passed_over) =
                moved.redirections.follow(&from, contacts, &config.listeners, |target| ways_to(target).err());
            for target in to.iter().rev() {
                moved.left.push_front(Arc::clone(target));
            }
            step.publish(Happening::AiRedirected {
                profile: self.profile.clone(),
                sip_code,
                from: from.to_string(),
                to: to.iter().map(ToString::to_string).collect(),
                passed_over,
            });
        }
        while let Some(target) = self.moved.as_mut().and_then(|moved| moved.left.pop_front()) {
            let Ok(routes) = ways_to(&target) else { continue };
            let mut ways = Self::ordered(step, routes, &self.about.trunk);
            let new = step.new_leg();
            let Some(route) = Self::first_free(step, new, &mut ways) else {
                step.shared.legs.remove(&new);
                continue;
            };
            if let Some(moved) = &mut self.moved {
                moved.at = Some(target);
            }
            // All of it together takes no longer than the AI may take.
            step.rename(Timer::AiAnswer(leg), Timer::AiAnswer(new));
            self.ai = Some(new);
            self.dial_ai_by(step, new, route, ways);
            return true;
        }
        false
    }
}
