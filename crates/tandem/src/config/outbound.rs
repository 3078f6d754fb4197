//! Sections `outbound` and `campaigns`: whom Tandem calls for whoever asks, when, how many, and which number they see.

use super::{
    people::check_name,
    reader::{Placed, Section, Wrong},
    types::{Profile, Route, Trunk},
    values,
};
use calls::{Campaign, OnMachine, Outbound, Pace};
use std::{collections::BTreeMap, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
/// The longest that a phone rings: an INVITE lives no longer with most carriers.
const LONGEST_RING: Duration = Duration::from_secs(180);

/// What may be done about a machine that answers.
const ON_MACHINE: [(&str, OnMachine); 3] =
    [("none", OnMachine::None), ("hang_up", OnMachine::HangUp), ("continue", OnMachine::Continue)];

/// What the sections may name.
pub(super) struct Known<'a> {
    pub(super) trunks: &'a [Trunk],
    pub(super) profiles: &'a [Profile],
    pub(super) routes: &'a [Route],
}

pub(super) fn outbound(root: &mut Section<'_>, known: &Known<'_>) -> Outbound {
    let default = Outbound::default();
    let mut section = root.section("outbound");
    let from = section.optional("from", values::e164).map(|placed| placed.value);
    let allow_from = section.list("allow_from", values::number_prefix).unwrap_or_default();
    let trunk = trunk(&mut section, known);
    let ring_timeout = section.duration("ring_timeout", default.ring_timeout, SECOND * 5..=LONGEST_RING);
    let on_machine = section.word("on_machine", default.on_machine, &ON_MACHINE);
    let pace = pace(&mut section, default.pace);
    section.done();
    let campaigns = campaigns(root, known, from.is_some());
    let allow_from = allow_from.into_iter().map(|placed| placed.value).collect();
    Outbound { from, allow_from, trunk, ring_timeout, on_machine, pace, campaigns }
}

fn campaigns(root: &mut Section<'_>, known: &Known<'_>, shows: bool) -> BTreeMap<String, Campaign> {
    let mut all = BTreeMap::new();
    for (name, mut section) in root.sections("campaigns") {
        check_name(&name, &section);
        let hours = section.optional("hours", values::name).map(|placed| placed.value);
        let time_zone = section.optional("time_zone", zone);
        if let (Some(zone), None) = (&time_zone, &hours) {
            section.wrong(zone.place, "`time_zone` says by whose clocks `hours` are judged, and there are none", None);
        }
        let pace = pace(&mut section, Pace::default());
        let from = section.optional("from", values::e164).map(|placed| placed.value);
        let trunk = trunk(&mut section, known);
        let lines = known.routes.iter().map(|route| route.line.as_str());
        let line = section.optional("line", |text| one_of(text, lines.clone(), "line", "lines are named by `routes`"));
        let profiles = known.profiles.iter().map(|profile| profile.name.as_str());
        let ai = section
            .optional("ai", |text| one_of(text, profiles.clone(), "AI profile", "profiles are named under `ai`"));
        let ring_timeout = section.optional("ring_timeout", |text| {
            let ring = super::reader::duration(text)?;
            if (SECOND * 5..=LONGEST_RING).contains(&ring) {
                return Ok(ring);
            }
            Err(Wrong::new(format!("`{text}` is out of range")).help("5s to 3m"))
        });
        let on_machine = section.optional("on_machine", |text| super::reader::word(text, &ON_MACHINE));
        if hours.is_none() {
            let help = "`hours: NAME` names opening hours of the rules";
            section.doubt(
                section.place(),
                format!("the campaign `{name}` may call people at any time of the day"),
                Some(help),
            );
        }
        if from.is_none() && !shows {
            let help = "`from` here or in `outbound` says which; else each trunk must show one of its own";
            section.doubt(section.place(), format!("the campaign `{name}` has no number to show"), Some(help));
        }
        section.done();
        let campaign = Campaign {
            hours,
            time_zone: time_zone.map(|placed| placed.value),
            pace,
            from,
            trunk,
            line: line.map(|placed| placed.value),
            ai: ai.map(|placed| placed.value),
            ring_timeout: ring_timeout.map(|placed| placed.value),
            on_machine: on_machine.map(|placed| placed.value),
        };
        all.insert(name, campaign);
    }
    all
}

fn pace(section: &mut Section<'_>, default: Pace) -> Pace {
    let at_once = section.number("max_at_once", default.at_once as u64, 0..=100_000);
    let per_second = section.number("max_per_second", default.per_second.into(), 0..=10_000);
    let per_minute = section.number("max_per_minute", default.per_minute.into(), 0..=100_000);
    Pace {
        at_once: usize::try_from(at_once).unwrap_or(usize::MAX),
        per_second: u32::try_from(per_second).unwrap_or(u32::MAX),
        per_minute: u32::try_from(per_minute).unwrap_or(u32::MAX),
    }
}

fn trunk(section: &mut Section<'_>, known: &Known<'_>) -> Option<String> {
    let Placed { value, place } = section.optional("trunk", values::name)?;
    match known.trunks.iter().find(|trunk| trunk.name == value) {
        None => section.wrong(place, format!("there is no trunk `{value}`"), None),
        Some(trunk) if trunk.address.is_none() || trunk.tel.is_empty() => {
            let help = "it needs `address` and `tel: [\"+49\"]`";
            section.wrong(place, format!("the trunk `{value}` carries no numbers"), Some(help));
        }
        Some(_) => {}
    }
    Some(value)
}

fn zone(text: &str) -> Result<String, Wrong> {
    if policy::knows_zone(text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("there is no time zone `{text}`")).help("like `Europe/Berlin` or `America/New_York`"))
}

/// A name that stands elsewhere in the configuration.
pub(super) fn one_of<'a>(
    text: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    what: &str,
    help: &str,
) -> Result<String, Wrong> {
    if names.clone().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::new(format!("there is no {what} `{text}`"));
    Err(match super::problem::nearest(text, names) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong.help(help),
    })
}
