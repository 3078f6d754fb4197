//! In which order trunks are tried: those that are there before those that are not, by priority, and among equals by
//! weight and chance (RFC 2782).

use super::Trunks;
use crate::Config;
use clock::Monotonic;
use rand::Rng;

impl Trunks {
    /// Puts the names of trunks into the order in which they are tried. Where several are alike, `preferred` comes first.
    pub(crate) fn order<'a>(
        &self,
        config: &Config,
        mut names: Vec<&'a str>,
        preferred: &str,
        now: Monotonic,
        chance: &mut impl Rng,
    ) -> Vec<&'a str> {
        if names.len() < 2 {
            return names;
        }
        names.sort_by_cached_key(|name| (self.rank(config, name, now), *name != preferred));
        let mut ordered = Vec::with_capacity(names.len());
        while let Some(first) = names.first().copied() {
            let rank = self.rank(config, first, now);
            let alike = names.iter().take_while(|name| self.rank(config, name, now) == rank).count();
            let chosen = if first == preferred { 0 } else { by_weight(config, &names[..alike], chance) };
            ordered.push(names.remove(chosen));
        }
        ordered
    }
}

/// One of several by weight. Those of weight zero are chosen only when no other is left.
fn by_weight(config: &Config, names: &[&str], chance: &mut impl Rng) -> usize {
    let weight = |name: &str| config.trunks.get(name).map_or(0, |trunk| u64::from(trunk.weight));
    let sum: u64 = names.iter().map(|name| weight(name)).sum();
    if sum == 0 || names.len() == 1 {
        return 0;
    }
    let mut drawn = chance.next_u64() % sum;
    for (at, name) in names.iter().enumerate() {
        match drawn.checked_sub(weight(name)) {
            Some(rest) => drawn = rest,
            None => return at,
        }
    }
    0
}
