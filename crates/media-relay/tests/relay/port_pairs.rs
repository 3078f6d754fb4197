//! Port pairs: even and odd, bounded, resting after use.

use clock::Monotonic;
use media_relay::Ports;
use std::{collections::BTreeSet, time::Duration};

const REST: Duration = Duration::from_secs(30);

fn s(n: u64) -> Monotonic {
    Monotonic::from_nanos(n * 1_000_000_000)
}

#[test]
fn pairs_are_even_distinct_and_inside_the_range() {
    let mut ports = Ports::new(20_001..=20_100, REST, 3);
    let pairs: Vec<u16> = std::iter::from_fn(|| ports.allocate(s(0))).collect();
    assert!(pairs.iter().all(|port| port % 2 == 0 && (20_002..=20_099).contains(port)));
    assert_eq!(pairs.iter().collect::<BTreeSet<_>>().len(), 49, "20002 to 20098");
    assert_eq!((ports.in_use(), ports.capacity()), (49, 49));
}

#[test]
fn a_released_pair_rests_before_it_is_used_again_and_the_one_that_rested_longest_goes_first() {
    let mut ports = Ports::new(20_000..=20_003, REST, 3);
    let (a, b) = (ports.allocate(s(0)).unwrap(), ports.allocate(s(0)).unwrap());
    ports.release(s(10), b);
    ports.release(s(11), a);
    assert_eq!(ports.allocate(s(39)), None);
    assert_eq!(ports.allocate(s(40)), Some(b));
    assert_eq!(ports.allocate(s(40)), None);
    assert_eq!(ports.allocate(s(41)), Some(a));
    assert_eq!((ports.in_use(), ports.resting()), (2, 0));
}

#[test]
fn releasing_twice_or_what_was_never_taken_changes_nothing() {
    let mut ports = Ports::new(20_000..=20_003, REST, 3);
    let a = ports.allocate(s(0)).unwrap();
    ports.release(s(1), a);
    ports.release(s(2), a);
    ports.release(s(2), 9);
    assert_eq!((ports.in_use(), ports.resting(), ports.capacity()), (0, 1, 2));
}

#[test]
fn the_order_of_ports_is_not_to_be_guessed_and_repeats_by_seed() {
    let order = |seed| {
        let mut ports = Ports::new(16_384..=32_767, REST, seed);
        (0..100).map_while(|_| ports.allocate(s(0))).collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn the_ends_of_the_number_space_are_safe() {
    assert_eq!(Ports::new(0..=1, REST, 0).capacity(), 0);
    assert_eq!(Ports::new(65_534..=65_535, REST, 0).capacity(), 1);
    assert_eq!(Ports::new(65_535..=65_535, REST, 0).capacity(), 0);
}
