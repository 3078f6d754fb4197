//! The order in which the servers of SRV records are tried (RFC 2782).

use super::Srv;
use rand::{Rng, RngExt as _, seq::SliceRandom as _};

/// By priority; within one priority by chance, so that each record comes first as often as its weight says.
pub(super) fn by_weight<'a>(records: impl IntoIterator<Item = &'a Srv>, chance: &mut impl Rng) -> Vec<&'a Srv> {
    let mut left: Vec<&Srv> = records.into_iter().collect();
    // Any order will do to begin with, except that those of weight 0 stand first in their priority.
    left.shuffle(chance);
    left.sort_by_key(|record| (record.priority, record.weight != 0));
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let equals = left.iter().take_while(|record| record.priority == first.priority);
        let sum: u64 = equals.map(|record| u64::from(record.weight)).sum();
        // The number 0 is for records of weight 0: it is their very small chance. Where there are none it would be a gift to
        // whoever stands first, which is felt where weights are small.
        let lowest = u64::from(first.weight != 0);
        let drawn = chance.random_range(lowest..=sum);
        let mut running = 0;
        let reached = left.iter().position(|record| {
            running += u64::from(record.weight);
            running >= drawn
        });
        ordered.push(left.remove(reached.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.to_owned() }
    }

    fn first_of(records: &[Srv], tries: u32) -> impl Fn(&str) -> f64 + use<> {
        let mut chance = StdRng::seed_from_u64(2782);
        let firsts: Vec<String> = (0..tries).map(|_| by_weight(records, &mut chance)[0].target.clone()).collect();
        move |name| {
            let count = firsts.iter().filter(|first| first.as_str() == name).count();
            f64::from(u32::try_from(count).unwrap()) / f64::from(tries)
        }
    }

    #[test]
    fn rfc2782_the_lowest_priority_is_tried_first_whatever_the_weights() {
        let records = [srv(20, 65_535, "late"), srv(10, 0, "early"), srv(30, 1, "last")];
        let mut chance = StdRng::seed_from_u64(1);
        for _ in 0..100 {
            let order: Vec<&str> =
                by_weight(&records, &mut chance).iter().map(|record| record.target.as_str()).collect();
            assert_eq!(order, ["early", "late", "last"]);
        }
    }

    #[test]
    fn rfc2782_records_come_first_as_often_as_their_weights_say() {
        let share = first_of(&[srv(1, 60, "a"), srv(1, 30, "b"), srv(1, 10, "c")], 20_000);
        for (name, expected) in [("a", 0.6), ("b", 0.3), ("c", 0.1)] {
            assert!((share(name) - expected).abs() < 0.015, "{name}: {}", share(name));
        }
    }

    #[test]
    fn rfc2782_weight_0_has_a_very_small_chance_beside_greater_ones() {
        let share = first_of(&[srv(1, 99, "heavy"), srv(1, 0, "light")], 20_000);
        assert!(share("light") > 0.0 && share("light") < 0.02, "{}", share("light"));
    }

    #[test]
    fn rfc2782_equal_weights_share_alike_even_where_they_are_small_or_0() {
        for weight in [0, 1] {
            let share = first_of(&[srv(1, weight, "a"), srv(1, weight, "b"), srv(1, weight, "c")], 20_000);
            for name in ["a", "b", "c"] {
                assert!((share(name) - 1.0 / 3.0).abs() < 0.02, "{name} of weight {weight}: {}", share(name));
            }
        }
    }

    #[test]
    fn rfc2782_the_rest_is_drawn_again_by_its_own_weights() {
        let records = [srv(1, 1, "a"), srv(1, 1, "b"), srv(1, 2, "c")];
        let mut chance = StdRng::seed_from_u64(7);
        let mut seconds = 0;
        let mut of_c = 0;
        for _ in 0..20_000 {
            let order = by_weight(&records, &mut chance);
            if order[0].target == "a" {
                seconds += 1;
                of_c += u32::from(order[1].target == "c");
            }
        }
        // Left are b with weight 1 and c with weight 2.
        let share = f64::from(of_c) / f64::from(seconds);
        assert!((share - 2.0 / 3.0).abs() < 0.03, "{share}");
    }

    proptest! {
        #[test]
        fn rfc2782_every_ordering_is_a_permutation_by_priority(
            weights in proptest::collection::vec((0_u16..4, any::<u16>()), 0..100),
            seed: u64,
        ) {
            let records: Vec<Srv> =
                weights.iter().enumerate().map(|(at, (priority, weight))| srv(*priority, *weight, &at.to_string())).collect();
            let order = by_weight(&records, &mut StdRng::seed_from_u64(seed));
            prop_assert!(order.is_sorted_by_key(|record| record.priority));
            let mut names: Vec<usize> = order.iter().map(|record| record.target.parse().unwrap()).collect();
            names.sort_unstable();
            prop_assert_eq!(names, (0..records.len()).collect::<Vec<_>>());
        }
    }
}
