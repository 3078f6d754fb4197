//! The judges are judged here: each figure on streams whose truth is known.

use super::*;

const PACKET: u64 = 160;

/// `count` packets of a signal from packet `from` on, 20 ms apart.
fn stream(signal: Signal, law: Law, from: u64, count: u64) -> Vec<Received> {
    (from..from + count)
        .map(|n| Received {
            at: Duration::from_millis(1_000_000 + n * 20),
            ssrc: 7,
            sequence: u16::try_from((65_500 + n) % 65_536).expect("16 bits"),
            timestamp: u32::try_from(n * PACKET).expect("short").wrapping_sub(100_000),
            marker: n == 0,
            payload_type: law.payload_type(),
            payload: signal.samples(n * PACKET, 160).into_iter().map(|sample| law.encode(sample)).collect(),
        })
        .collect()
}

#[test]
fn an_unbroken_stream_has_no_blemish_over_the_wrap_of_its_numbers() {
    let seen = continuity(&stream(Signal::Noise(1), Law::Mu, 0, 200));
    assert_eq!((seen.packets, seen.ssrc_count, seen.sequence_gaps), (200, 1, 0));
    assert_eq!((seen.duplicates, seen.reordered, seen.timestamps_back, seen.markers), (0, 0, 0, 1));
    assert_eq!(seen.longest_gap, Duration::from_millis(20));
    assert_eq!(seen.largest_drift, Duration::ZERO);
}

#[test]
fn loss_duplication_reordering_and_a_second_source_are_each_counted() {
    let mut packets = stream(Signal::Noise(1), Law::Mu, 0, 100);
    packets.remove(50);
    packets.remove(50);
    assert_eq!(continuity(&packets).sequence_gaps, 2);
    assert_eq!(continuity(&packets).longest_gap, Duration::from_millis(60));
    packets.insert(10, packets[9].clone());
    assert_eq!(continuity(&packets).duplicates, 1);
    packets.swap(20, 21);
    assert_eq!(continuity(&packets).reordered, 1);
    packets[30].ssrc = 8;
    assert_eq!(continuity(&packets).ssrc_count, 2);
}

#[test]
fn a_timestamp_that_runs_away_from_the_clock_or_back_is_seen() {
    let mut packets = stream(Signal::Noise(1), Law::Mu, 0, 100);
    for packet in &mut packets[60..] {
        packet.timestamp = packet.timestamp.wrapping_add(800);
    }
    assert_eq!(continuity(&packets).largest_drift, Duration::from_millis(100));
    packets[80].timestamp = packets[10].timestamp;
    assert_eq!(continuity(&packets).timestamps_back, 1);
}

#[test]
fn silence_is_a_gap_or_quiet_packets_whichever_is_longer() {
    let mut packets = stream(Signal::Noise(1), Law::Mu, 0, 100);
    let (from, until) = (packets[0].at, packets[99].at);
    assert_eq!(longest_silence(&packets, from, until), Duration::ZERO);
    for packet in &mut packets[40..50] {
        packet.payload.fill(0xff);
    }
    assert_eq!(longest_silence(&packets, from, until), Duration::from_millis(200));
    packets.drain(70..95);
    assert_eq!(longest_silence(&packets, from, until), Duration::from_millis(500));
    assert_eq!(longest_silence(&packets, from, until + Duration::from_secs(2)), Duration::from_millis(1_980));
    assert_eq!(longest_silence(&[], from, until), until - from);
}

#[test]
fn a_known_signal_is_found_at_its_place_through_both_laws_and_a_stranger_is_not() {
    for law in [Law::Mu, Law::A] {
        let heard = audio(&stream(Signal::Noise(3), law, 25, 50), 10);
        assert_eq!(heard.len(), 8000);
        let found = find(&heard, Signal::Noise(3), 0..16_000);
        assert!(found.correlation > 0.99, "{law:?} {found:?}");
        assert_eq!(found.index, 25 * PACKET);
        assert!(find(&heard, Signal::Noise(4), 0..16_000).correlation < 0.5, "{law:?}");
    }
    assert_eq!(find(&[0; 8000], Signal::Noise(3), 0..8000).correlation, 0.0);
}

#[test]
fn a_known_stretch_is_found_in_what_was_heard_and_one_that_is_not_there_is_not() {
    let heard = audio(&stream(Signal::Noise(3), Law::A, 25, 100), 10);
    let found = find_clip(&heard, &Signal::Noise(3).samples(25 * PACKET + 3_001, 4_000));
    assert!(found.correlation > 0.99 && found.index == 3_001, "{found:?}");
    let stranger = find_clip(&heard, &Signal::Noise(4).samples(0, 4_000));
    assert!(stranger.correlation < 0.3, "{stranger:?}");
    assert_eq!(find_clip(&heard[..3_999], &Signal::Noise(3).samples(0, 4_000)).correlation, 0.0);
}

#[test]
fn a_tone_is_told_from_another_and_from_noise() {
    let tone = Signal::Tone(700.0).samples(0, 1600);
    assert!(tone_share(&tone, 700.0) > 0.98);
    assert!(tone_share(&tone, 440.0) < 0.02);
    assert!(tone_share(&Signal::Noise(9).samples(0, 1600), 700.0) < 0.2);
    assert_eq!(tone_share(&[0; 100], 700.0), 0.0);
}

#[test]
fn an_event_of_many_packets_is_one_digit() {
    let event = |timestamp: u32, code: u8| Received {
        at: Duration::ZERO,
        ssrc: 1,
        sequence: 0,
        timestamp,
        marker: false,
        payload_type: 101,
        payload: vec![code, 10, 0, 160],
    };
    let packets = [event(5, 1), event(5, 1), event(5, 1), event(900, 11), event(900, 11), event(2000, 1)];
    assert_eq!(digits(&packets, 101), "1#1");
    assert_eq!(digits(&packets, 96), "");
}
