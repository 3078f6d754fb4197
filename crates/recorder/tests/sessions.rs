//! A recording's audio in virtual time: on one clock, nothing missing, nothing twice, and nothing of a pause.

use clock::Monotonic;
use media_relay::{Codec, Frame};
use proptest::prelude::*;
use recorder::{HOLD, Session};
use std::time::Duration;

const FRAME: usize = 160;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn start() -> Monotonic {
    Monotonic::from_nanos(77_777_777_777)
}

/// Frame `n` of a channel: its number in each sample, through G.711.
fn payload(n: u32) -> Vec<u8> {
    vec![Codec::Pcma.encode(value(n)); FRAME]
}

fn value(n: u32) -> i16 {
    // Steps that A-law keeps apart.
    Codec::Pcma.decode(u8::try_from(n % 100 + 0x80).expect("below 256"))
}

fn frame(channel: u8, n: u32, at: Monotonic) -> Frame {
    let timestamp = (n * 160).wrapping_add(u32::MAX - 5_000);
    Frame { channel, codec: Codec::Pcma, at, timestamp, source: u32::from(channel) + 1 }
}

fn channel(samples: &[i16], channel: usize) -> Vec<i16> {
    samples.iter().skip(channel).step_by(2).copied().collect()
}

#[test]
fn both_channels_lie_on_one_clock_to_the_sample() {
    let mut session = Session::new(start(), 2);
    let mut samples = Vec::new();
    for n in 0..500u32 {
        let at = start() + ms(20) * n;
        session.frame(&frame(0, n, at), &payload(n));
        // The other one speaks from the second second on, half a frame later.
        if n >= 100 {
            session.frame(&frame(1, n, at + ms(10)), &payload(n));
        }
        session.take(at, &mut samples);
    }
    session.finish(start() + ms(10_000));
    session.take_rest(&mut samples);
    assert_eq!(samples.len(), 2 * 80_000);
    let (left, right) = (channel(&samples, 0), channel(&samples, 1));
    for n in 0..500u32 {
        let at = FRAME * usize::try_from(n).unwrap();
        assert!(left[at..at + FRAME].iter().all(|it| *it == value(n)), "left {n}");
        if (100..499).contains(&n) {
            assert!(right[at + 80..at + 80 + FRAME].iter().all(|it| *it == value(n)), "right {n}");
        }
    }
    assert!(right[..16_080].iter().all(|it| *it == 0));
}

#[test]
fn a_recording_is_as_long_as_the_call_whatever_was_said() {
    let mut session = Session::new(start(), 2);
    let mut samples = Vec::new();
    session.take(start() + ms(5_000), &mut samples);
    assert_eq!(samples.len(), 2 * 36_000, "all but the last half second");
    session.finish(start() + ms(5_123));
    assert!(!session.is_over());
    session.take(start() + ms(5_123) + HOLD, &mut samples);
    assert!(session.is_over());
    assert_eq!(samples.len(), 2 * 40_984);
}

#[test]
fn a_pause_is_silence_of_equal_length_to_the_sample_on_every_channel() {
    let mut session = Session::new(start(), 2);
    let mut samples = Vec::new();
    for n in 0..500u32 {
        let at = start() + ms(20) * n;
        if n == 100 {
            session.pause(at + ms(3));
        }
        if n == 300 {
            session.resume(at + ms(7));
        }
        session.frame(&frame(0, n, at), &payload(n));
        session.frame(&frame(1, n, at), &payload(n));
        session.take(at, &mut samples);
    }
    session.finish(start() + ms(10_000));
    session.take_rest(&mut samples);
    let (from, until) = (100 * FRAME + 24, 300 * FRAME + 56);
    for side in [channel(&samples, 0), channel(&samples, 1)] {
        assert!(side[from..until].iter().all(|it| *it == 0), "nothing of the pause");
        assert!(side[..from].iter().all(|it| *it != 0), "everything before");
        assert!(side[until..].iter().all(|it| *it != 0), "everything after");
    }
}

/// Two supervisors who barge at once: only the first of them was kept, for a channel had one source at a time.
#[test]
fn several_who_speak_at_once_on_one_channel_are_all_on_it() {
    for sources in [2u32, 8, 11] {
        let mut session = Session::new(start(), 2);
        let mut samples = Vec::new();
        for n in 0..200u32 {
            for source in 0..sources {
                // They take turns within a frame's time, and each is there from a time of their own on.
                let at = start() + ms(20) * n + ms(u64::from(source));
                let payload: Vec<u8> = [100i16; FRAME].iter().flat_map(|it| it.to_be_bytes()).collect();
                let frame =
                    Frame { channel: 1, codec: Codec::L16At8k, at, timestamp: source * 7_000 + n * 160, source };
                if n >= 10 * source {
                    session.frame(&frame, &payload);
                }
            }
            session.take(start() + ms(20) * n, &mut samples);
        }
        session.finish(start() + ms(4_000));
        session.take_rest(&mut samples);
        let heard = channel(&samples, 1);
        let (one, all) = (heard[8 * FRAME], heard[150 * FRAME]);
        let most = i16::try_from(sources.min(8)).unwrap() * 100;
        assert_eq!((one, all), (100, if sources <= 8 { most } else { all }), "{sources} at once");
        assert!(all >= 100 && all <= most, "{sources} at once: {all}");
        assert!(channel(&samples, 0).iter().all(|it| *it == 0));
    }
}

#[test]
fn a_pause_that_never_ends_lasts_to_the_end() {
    let mut session = Session::new(start(), 1);
    session.pause(start() + ms(100));
    for n in 0..50u32 {
        session.frame(&frame(0, n, start() + ms(20) * n), &payload(n));
    }
    session.finish(start() + ms(1_000));
    let mut samples = Vec::new();
    session.take_rest(&mut samples);
    assert!(samples[800..].iter().all(|it| *it == 0) && samples.len() == 8_000);
}

/// G.722's clock counts 8,000 for its 16,000 samples a second (RFC 3551 section 4.5.2), L16's counts every sample.
#[test]
fn wideband_audio_lies_on_the_same_clock_at_the_recordings_rate() {
    for (codec, step) in [(Codec::L16At16k, 320u32), (Codec::L16At8k, 160)] {
        let mut session = Session::new(start(), 1);
        let mut samples = Vec::new();
        for n in 0..100u32 {
            let payload: Vec<u8> = [1_000i16; 320][..step as usize].iter().flat_map(|it| it.to_be_bytes()).collect();
            let at = start() + ms(20) * n;
            session.frame(&Frame { channel: 0, codec, at, timestamp: n * step, source: 1 }, &payload);
            session.take(at, &mut samples);
        }
        session.finish(start() + ms(2_500));
        session.take_rest(&mut samples);
        assert_eq!(samples.len(), 20_000);
        assert!(samples[8..16_000].iter().all(|it| *it == 1_000), "{codec:?}");
        assert!(samples[16_000..].iter().all(|it| *it == 0), "{codec:?}");
    }
}

proptest! {
    /// Whatever a network does within 100 ms: frames that came are where they belong, once, and what did not come is silence.
    #[test]
    fn loss_reordering_and_doubling_move_nothing(
        fates in proptest::collection::vec((0u64..95, 0u8..20), 100..300)
    ) {
        let mut session = Session::new(start(), 1);
        let mut arrivals: Vec<(u64, u32)> = Vec::new();
        for (n, (delay, fate)) in fates.iter().enumerate() {
            let n = u32::try_from(n).unwrap();
            // The first ones come in time, so that the source is anchored where the test says.
            let delay = if n < 6 { 0 } else { *delay };
            let copies = match fate { 0 if n > 5 => 0, 1 => 2, _ => 1 };
            arrivals.extend((0..copies).map(|copy| (u64::from(n) * 20 + delay + copy * 3, n)));
        }
        arrivals.sort_unstable();
        let mut samples = Vec::new();
        for (at, n) in &arrivals {
            session.frame(&frame(0, *n, start() + ms(*at)), &payload(*n));
            session.take(start() + ms(*at), &mut samples);
        }
        session.finish(start() + ms(fates.len() as u64 * 20));
        session.take_rest(&mut samples);
        prop_assert_eq!(samples.len(), fates.len() * FRAME);
        for (n, chunk) in samples.chunks(FRAME).enumerate() {
            let n = u32::try_from(n).unwrap();
            let expected = if arrivals.iter().any(|(_, came)| *came == n) { value(n) } else { 0 };
            prop_assert!(chunk.iter().all(|it| *it == expected), "frame {} holds {:?}, expected {}", n, &chunk[..3], expected);
        }
        prop_assert_eq!(session.late_frames(), 0);
    }

    /// Any frames at any times: the length follows the clock alone, and nothing panics.
    #[test]
    fn nonsense_costs_nothing_but_itself(
        frames in proptest::collection::vec((0u8..4, any::<u32>(), 0u64..20_000, 0usize..2_000, 0u32..3), 0..200)
    ) {
        let mut session = Session::new(start(), 2);
        let mut samples = Vec::new();
        for (number, timestamp, at, length, source) in frames {
            let frame = Frame { channel: number, codec: Codec::Pcmu, at: start() + ms(at), timestamp, source };
            session.frame(&frame, &vec![0x55; length]);
            session.take(start() + ms(at), &mut samples);
        }
        session.finish(start() + ms(20_000));
        session.take_rest(&mut samples);
        prop_assert_eq!(samples.len(), 2 * 160_000);
    }
}
