//! Toward each leg the relay is one RTP source for the leg's whole life, whoever speaks.

use crate::house::{House, assert_continuous, longest_gap, ms, music, raw, stream};
use media_relay::{Codec, Command, Event, Play, PlayId, Source, Then};
use std::time::Duration;

#[test]
fn forwarding_between_equal_codecs_is_bit_exact() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, Source::Port(caller.port))]);
    let spoken: Vec<Vec<u8>> = (0..100)
        .map(|_| {
            let packet = house.speak(&mut ai);
            house.advance(ms(20));
            packet[12..].to_vec()
        })
        .collect();
    let heard = house.heard_by(caller.port);
    assert_continuous(&heard, ms(1));
    assert_eq!(heard.iter().map(|sent| sent.rtp().payload.to_vec()).collect::<Vec<_>>(), spoken);
    assert!(heard[0].rtp().header.marker, "the first packet of a source is marked");
    assert!(heard.iter().skip(1).all(|sent| !sent.rtp().header.marker));
    assert!(heard.iter().all(|sent| sent.to == caller.address));
}

#[test]
fn different_codecs_are_converted_sample_by_sample() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcma), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    let spoken = house.speak(&mut ai);
    let heard = house.heard_by(caller.port)[0].rtp();
    assert_eq!(heard.header.payload_type, 8);
    for (a, mu) in heard.payload.iter().zip(&spoken[12..]) {
        let (a, mu) = (i32::from(Codec::Pcma.decode(*a)), i32::from(Codec::Pcmu.decode(*mu)));
        assert!((a - mu).abs() <= 16.max(mu.abs() / 16), "{mu} became {a}");
    }
}

#[test]
fn ai_then_music_then_human_is_one_stream_without_a_gap_above_forty_milliseconds() {
    // The switch may fall anywhere between two packets of either side.
    for offset in 0..20 {
        for human_offset in [0, 7, 19] {
            let mut house = House::new();
            let (mut caller, mut ai, mut human) =
                (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcma), house.party(3, Codec::Pcmu));
            let waiting = [(caller.port, music(1)), (ai.port, Source::Silence), (human.port, Source::Silence)];
            house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, Source::Port(caller.port))]);
            house.talk(&mut [&mut caller, &mut ai], 50);
            house.speak(&mut ai);
            house.advance(ms(offset));
            house.plan(&waiting);
            house.advance(ms(1000 + human_offset));
            house.plan(&[(caller.port, Source::Port(human.port)), (human.port, Source::Port(caller.port))]);
            house.advance(ms(19));
            house.talk(&mut [&mut caller, &mut human], 50);
            let heard = house.heard_by(caller.port);
            assert_continuous(&heard, ms(21));
            assert!(longest_gap(&heard) <= ms(40), "offset {offset}: {:?}", longest_gap(&heard));
            let markers = heard.iter().filter(|sent| sent.rtp().header.marker).count();
            assert!((3..=4).contains(&markers), "a mark a switch, and one where silence filled in: {markers}");
        }
    }
}

#[test]
fn loss_and_reordering_within_a_source_stay_visible() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 10);
    ai.skip(2);
    house.talk(&mut [&mut ai], 1);
    let (early, late) = (ai.packet(), ai.packet());
    house.receive(ai.port, ai.address, &late);
    house.receive(ai.port, ai.address, &early);
    let numbers: Vec<_> = house
        .heard_by(caller.port)
        .iter()
        .map(|sent| (sent.rtp().header.sequence_number, sent.rtp().header.timestamp))
        .collect();
    let (first, ts) = numbers[9];
    let expected = [3u16, 5, 4].map(|n| (first.wrapping_add(n), ts.wrapping_add(u32::from(n) * 160)));
    assert_eq!(numbers[10..], expected);
}

#[test]
fn silence_suppression_within_a_source_stays_visible() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 10);
    ai.pause(ms(980));
    house.advance(ms(980));
    house.talk(&mut [&mut ai], 10);
    let heard = house.heard_by(caller.port);
    assert_eq!(heard.len(), 20, "nothing fills a pause of the source's own");
    assert_continuous(&heard, ms(1));
    assert_eq!(longest_gap(&heard), ms(1000));
}

#[test]
fn late_packets_of_an_old_source_are_dropped() {
    let mut house = House::new();
    let (caller, mut ai, mut human) =
        (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu), house.party(3, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 10);
    let late = ai.packet();
    house.plan(&[(caller.port, Source::Port(human.port))]);
    house.talk(&mut [&mut human], 5);
    house.receive(ai.port, ai.address, &late);
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    // Back to the AI: what comes now begins anew, what was sent before it is late.
    let older = ai.packet();
    house.talk(&mut [&mut ai], 5);
    let before = house.heard_by(caller.port).len();
    house.receive(ai.port, ai.address, &older);
    assert_eq!(house.heard_by(caller.port).len(), before);
    assert_continuous(&house.heard_by(caller.port), ms(21));
}

#[test]
fn a_packet_time_that_changes_in_mid_stream_is_forwarded_as_it_comes() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 10);
    ai.samples = 480;
    for _ in 0..10 {
        house.speak(&mut ai);
        house.advance(ms(60));
    }
    house.plan(&[(caller.port, music(1))]);
    house.advance(ms(1000));
    let heard = house.heard_by(caller.port);
    assert_eq!(heard[15].rtp().payload.len(), 480);
    assert_continuous(&heard, ms(6));
}

#[test]
fn packets_of_our_own_making_have_the_length_the_leg_asked_for() {
    for (ptime, expected) in [(10, 80), (20, 160), (30, 240), (60, 480), (5, 80), (1000, 800)] {
        let mut house = House::new();
        let caller = house.party(1, Codec::Pcmu);
        let agreed = media_relay::Stream { ptime: ms(ptime), ..stream(caller.address, Codec::Pcmu) };
        house.command(Command::Describe { port: caller.port, stream: Box::new(agreed) });
        house.plan(&[(caller.port, music(1))]);
        house.advance(ms(1200));
        let heard = house.heard_by(caller.port);
        assert!(heard.iter().all(|sent| sent.rtp().payload.len() == expected), "ptime {ptime}");
        assert_continuous(&heard, ms(1));
    }
}

#[test]
fn a_peer_that_starts_a_new_ssrc_or_jumps_does_not_break_the_stream() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 10);
    let straggler = ai.packet();
    (ai.ssrc, ai.sequence, ai.timestamp) = (99, 5, 123_456_789);
    house.talk(&mut [&mut ai], 10);
    house.receive(ai.port, ai.address, &straggler);
    ai.sequence = ai.sequence.wrapping_add(20_000);
    house.talk(&mut [&mut ai], 10);
    let heard = house.heard_by(caller.port);
    assert_eq!(heard.len(), 29, "a straggler and the first packet of the jump are left out");
    assert_continuous(&heard, ms(21));
}

#[test]
fn a_leg_that_sends_nothing_for_a_second_is_heard_as_silence_until_it_does() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.advance(ms(990));
    assert_eq!(house.heard_by(caller.port).len(), 0);
    house.advance(ms(510));
    let silence = house.heard_by(caller.port);
    assert!(silence.len() >= 24 && silence.iter().all(|sent| sent.rtp().payload.iter().all(|word| *word == 0xff)));
    house.talk(&mut [&mut ai], 10);
    assert_continuous(&house.heard_by(caller.port), ms(21));
    assert_eq!(house.heard_by(caller.port).last().unwrap().rtp().payload.len(), 160);
}

#[test]
fn a_plan_that_changes_nothing_for_a_leg_is_no_switch() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, music(4))]);
    house.talk(&mut [&mut ai], 5);
    house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, music(4))]);
    house.talk(&mut [&mut ai], 5);
    for port in [caller.port, ai.port] {
        assert_eq!(house.heard_by(port).iter().filter(|sent| sent.rtp().header.marker).count(), 1);
    }
}

#[test]
fn an_older_plan_changes_nothing() {
    let mut house = House::new();
    let caller = house.party(1, Codec::Pcmu);
    let plan = |generation, source| Command::Plan {
        call: crate::house::CALL,
        generation,
        sources: vec![(caller.port, source)],
    };
    house.command(plan(5, music(1)));
    house.command(plan(4, Source::Nothing));
    house.advance(ms(100));
    assert!(house.heard_by(caller.port).len() >= 4);
}

#[test]
fn music_interrupted_goes_on_where_it_stopped() {
    let mut house = House::new();
    let caller = house.party(1, Codec::Pcmu);
    house.plan(&[(caller.port, music(1))]);
    house.advance(ms(198));
    let before = house.heard_by(caller.port).len();
    house.plan(&[(caller.port, Source::Silence)]);
    house.advance(ms(200));
    house.plan(&[(caller.port, music(1))]);
    house.forget();
    house.advance(ms(25));
    let encoded: Vec<u8> = crate::house::tone(80_000, 300.0, 6000.0).iter().map(|s| Codec::Pcmu.encode(*s)).collect();
    // It comes up within 5 ms: what begins in the middle would click.
    assert_eq!(house.heard_by(caller.port)[0].rtp().payload[40..], encoded[before * 160 + 40..][..120]);
}

#[test]
fn say_this_once_then_that_music_and_tell_when() {
    let mut house = House::new();
    let caller = house.party(1, Codec::Pcmu);
    let play = Play { id: PlayId(9), first: vec!["hello".into()], words: None, then: Then::Ringback };
    house.plan(&[(caller.port, Source::Play(play))]);
    house.advance(ms(970));
    assert!(house.events().iter().all(|event| !matches!(event, Event::PlayDone { .. })));
    house.advance(ms(35));
    assert!(house.events().contains(&Event::PlayDone { port: caller.port, play: PlayId(9), clips: 1 }));
    house.advance(Duration::from_secs(3));
    assert_continuous(&house.heard_by(caller.port), ms(1));
}

#[test]
fn a_play_of_unknown_clips_is_silence_and_over_at_once() {
    let mut house = House::new();
    let caller = house.party(1, Codec::Pcmu);
    let play = Play { id: PlayId(9), first: vec!["unknown".into()], words: None, then: Then::Silence };
    house.plan(&[(caller.port, Source::Play(play))]);
    house.advance(ms(25));
    assert!(house.events().contains(&Event::PlayDone { port: caller.port, play: PlayId(9), clips: 1 }));
}

#[test]
fn nobody_hears_a_leg_of_another_call_or_a_leg_that_closed() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    let stranger = media_relay::PortId(77);
    house.command(Command::Open { port: stranger, call: media_relay::CallKey(2) });
    house.plan(&[(caller.port, Source::Port(stranger)), (ai.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 10);
    for port in [caller.port, ai.port] {
        assert!(house.heard_by(port).iter().all(|sent| sent.rtp().payload.iter().all(|word| *word == 0xff)));
    }
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 10);
    house.command(Command::Close { port: ai.port });
    house.forget();
    house.advance(ms(500));
    let heard = house.heard_by(caller.port);
    assert!(heard.len() >= 24 && heard.iter().all(|sent| sent.rtp().payload.iter().all(|word| *word == 0xff)));
    assert_continuous(&heard, ms(1));
}

#[test]
fn two_listeners_of_one_leg_each_hear_it_in_their_own_codec() {
    let mut house = House::new();
    let (a, b, mut speaker) = (house.party(1, Codec::Pcma), house.party(2, Codec::Pcmu), house.party(3, Codec::Pcmu));
    house.plan(&[(a.port, Source::Port(speaker.port)), (b.port, Source::Port(speaker.port))]);
    let spoken = house.speak(&mut speaker);
    assert_eq!(house.heard_by(b.port)[0].rtp().payload[..], spoken[12..]);
    assert_eq!(house.heard_by(a.port)[0].rtp().header.payload_type, 8);
    assert_ne!(house.heard_by(a.port)[0].rtp().payload[..], spoken[12..]);
}

#[test]
fn nothing_is_sent_where_the_description_forbids_it() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 10);
    let describe = |may_send| Command::Describe {
        port: caller.port,
        stream: Box::new(media_relay::Stream { may_send, ..stream(caller.address, Codec::Pcmu) }),
    };
    house.command(describe(false));
    house.talk(&mut [&mut ai], 50);
    assert_eq!(house.heard_by(caller.port).len(), 10);
    house.command(describe(true));
    house.talk(&mut [&mut ai], 10);
    assert_eq!(house.heard_by(caller.port).len(), 20);
    assert_continuous(&house.heard_by(caller.port), ms(21));
}

#[test]
fn comfort_noise_becomes_one_quiet_packet_and_costs_no_number() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcma), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 5);
    let noise = raw(13, false, ai.sequence, ai.timestamp, ai.ssrc, &[60]);
    ai.sequence = ai.sequence.wrapping_add(1);
    house.receive(ai.port, ai.address, &noise);
    ai.pause(ms(400));
    house.advance(ms(400));
    house.talk(&mut [&mut ai], 5);
    let heard = house.heard_by(caller.port);
    assert_continuous(&heard, ms(1));
    let quiet = heard[5].rtp();
    assert_eq!((quiet.header.payload_type, quiet.payload.len()), (8, 160));
    assert!((crate::house::dbov(&quiet) + 60.0).abs() < 2.0);
}

#[test]
fn header_extension_padding_and_contributing_sources_end_here() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    let plain = ai.packet();
    let mut dressed = plain[..12].to_vec();
    dressed[0] = 0x80 | 0x20 | 0x10 | 2;
    dressed.extend([1, 1, 1, 1, 2, 2, 2, 2]);
    dressed.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    dressed.extend(&plain[12..]);
    dressed.extend([0, 0, 0, 4]);
    house.receive(ai.port, ai.address, &dressed);
    let heard = house.heard_by(caller.port)[0].rtp();
    assert_eq!(heard.payload[..], plain[12..]);
    assert!(!heard.header.extension && !heard.header.padding && heard.header.csrc.is_empty());
}
