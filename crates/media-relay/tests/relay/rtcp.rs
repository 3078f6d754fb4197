//! Reports of our own, and what the peer's tell.

use crate::house::{CALL, House, ms};
use media_relay::{Codec, Command, Direction, Event, Mos, PortId, Source, Stats};
use std::net::SocketAddr;

/// Splits a compound packet by its own lengths.
fn kinds(bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        kinds.push(bytes[at + 1]);
        at += 4 * (usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])) + 1);
    }
    assert_eq!(at, bytes.len(), "lengths add up");
    kinds
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[test]
fn rfc3550_6_4_who_sends_reports_what_was_sent_and_received_and_who_does_not_only_what_was_received() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, Source::Nothing)]);
    house.talk(&mut [&mut ai], 1000);
    let (to_caller, to_ai) = (house.rtcp_to(caller.port), house.rtcp_to(ai.port));
    assert!((3..=10).contains(&to_caller.len()), "{} reports in 20 s", to_caller.len());
    assert!(to_caller.iter().all(|sent| kinds(&sent.bytes) == [200, 202]), "SR and SDES");
    assert!(to_ai.iter().all(|sent| kinds(&sent.bytes) == [201, 202]), "RR and SDES");
    assert!(to_ai.iter().all(|sent| sent.to == SocketAddr::new(ai.address.ip(), 4001)));
    let report = &to_caller.last().unwrap();
    let heard = house.heard_by(caller.port);
    let (earlier, by_then) = (
        heard.iter().filter(|sent| sent.at < report.at).count(),
        heard.iter().filter(|sent| sent.at <= report.at).count(),
    );
    assert_eq!(word(&report.bytes, 4), heard[0].rtp().header.ssrc);
    assert!((earlier..=by_then).contains(&(word(&report.bytes, 20) as usize)), "the packet count");
    let block = &to_ai.last().unwrap().bytes;
    assert_eq!((block[0] & 31, word(block, 8)), (1, ai.ssrc), "one block, about the AI");
}

#[test]
fn loss_is_reported_to_the_peer_and_to_the_engine() {
    let mut house = House::new();
    let mut ai = house.party(2, Codec::Pcmu);
    for _ in 0..60 {
        house.talk(&mut [&mut ai], 9);
        ai.skip(1);
        house.advance(ms(20));
    }
    let block = house.rtcp_to(ai.port).last().unwrap().bytes.clone();
    assert!((22..=29).contains(&block[12]), "a tenth is {} of 256", block[12]);
    let stats = house
        .events()
        .into_iter()
        .rev()
        .find_map(|e| if let Event::Statistics { stats, .. } = e { Some(stats) } else { None });
    let stats = stats.unwrap();
    assert!((40..=60).contains(&stats.packets_lost), "{stats:?}");
    assert_eq!(stats.jitter, ms(0));
}

#[test]
fn a_report_about_us_gives_loss_jitter_and_round_trip_and_a_strangers_gives_nothing() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 400);
    let ours = house.rtcp_to(caller.port).last().unwrap().clone();
    let (ssrc, last_sr) = (word(&ours.bytes, 4), word(&ours.bytes, 10));
    let since = house.elapsed() - ours.at;
    let delay = u32::try_from(since.saturating_sub(ms(30)).as_millis() * 65_536 / 1000).unwrap();
    let mut report = vec![0x81, 201, 0, 7];
    for value in [9, ssrc, 0x4000_0005, 0, 160, last_sr, delay] {
        report.extend(u32::to_be_bytes(value));
    }
    house.receive_rtcp(caller.port, SocketAddr::from(([203, 0, 113, 1], 4001)), &report);
    let stats = |house: &mut House| {
        house.advance(ms(5100));
        house.events().into_iter().rev().find_map(|event| match event {
            Event::Statistics { port: PortId(1), stats } => Some(stats),
            _ => None,
        })
    };
    assert_eq!(stats(&mut house).unwrap().round_trip, None);
    let back = house.elapsed() - ours.at;
    let delay = u32::try_from(back.saturating_sub(ms(30)).as_millis() * 65_536 / 1000).unwrap();
    let at = report.len() - 4;
    report[at..].copy_from_slice(&delay.to_be_bytes());
    house.receive_rtcp(caller.port, SocketAddr::new(caller.address.ip(), 4001), &report);
    let stats = stats(&mut house).unwrap();
    assert!(stats.round_trip.unwrap().abs_diff(ms(30)) <= ms(1), "{stats:?}");
    assert_eq!(
        (stats.remote_fraction_lost, stats.remote_packets_lost, stats.remote_jitter),
        (Some(64), Some(5), Some(ms(20)))
    );
}

/// A receiver's or sender's report of the peer about `ssrc`, of which it lost `fraction`; or about nobody.
fn report(sent: Option<u32>, about: Option<(u32, u8)>) -> Vec<u8> {
    let blocks = u8::from(about.is_some());
    let words = 1 + if sent.is_some() { 5 } else { 0 } + 6 * u16::from(blocks);
    let mut report = vec![0x80 | blocks, if sent.is_some() { 200 } else { 201 }];
    report.extend(words.to_be_bytes());
    report.extend(9u32.to_be_bytes());
    if let Some(sent) = sent {
        for value in [1, 2, 3, sent, sent * 160] {
            report.extend(u32::to_be_bytes(value));
        }
    }
    if let Some((ssrc, fraction)) = about {
        for value in [ssrc, u32::from(fraction) << 24, 0, 0, 0, 0] {
            report.extend(u32::to_be_bytes(value));
        }
    }
    report
}

fn one_way(house: &mut House) -> Vec<(PortId, Direction)> {
    let events = house.events().into_iter();
    events
        .filter_map(|event| if let Event::OneWay { port, direction } = event { Some((port, direction)) } else { None })
        .collect()
}

fn last_stats(house: &mut House, of: PortId) -> Box<Stats> {
    house.advance(ms(5100));
    let events = house.events().into_iter().rev();
    let mut stats = events.filter_map(|event| match event {
        Event::Statistics { port, stats } if port == of => Some(stats),
        _ => None,
    });
    stats.next().expect("statistics every five seconds")
}

#[test]
fn rfc3611_4_7_the_peers_voip_metrics_are_believed_where_they_are_about_us() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.talk(&mut [&mut ai], 400);
    let ssrc = house.heard_by(caller.port)[0].rtp().header.ssrc;
    let rtcp = SocketAddr::new(caller.address.ip(), 4001);
    let mut extended = |ssrc: u32, listening: u8, conversational: u8| {
        let mut bytes = report(None, None);
        bytes.extend([0x80, 207, 0, 10]);
        bytes.extend(9u32.to_be_bytes());
        bytes.extend([7, 0, 0, 8]);
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend([
            26,
            51,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            120,
            0,
            40,
            0,
            0,
            0,
            16,
            80,
            127,
            listening,
            conversational,
            0,
            0,
            0,
            60,
            0,
            80,
            1,
            0,
        ]);
        house.receive_rtcp(caller.port, rtcp, &bytes);
        last_stats(&mut house, caller.port)
    };
    let stats = extended(ssrc ^ 1, 41, 39);
    assert_eq!((stats.remote_mos, stats.remote_fraction_discarded), (None, None), "about somebody else");
    let stats = extended(ssrc, 41, 39);
    assert_eq!((stats.remote_mos, stats.remote_fraction_discarded), (Some(Mos(390)), Some(51)));
    assert_eq!(stats.round_trip, Some(ms(120)));
    assert_eq!(stats.malformed, 0);
    let stats = extended(ssrc, 41, 127);
    assert_eq!(stats.remote_mos, Some(Mos(410)), "127 stands for what the peer does not know");
}

#[test]
fn g107_both_directions_are_judged_by_what_was_counted_of_them() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, Source::Silence)]);
    house.talk(&mut [&mut ai], 400);
    let clean = last_stats(&mut house, ai.port).mos.expect("judged");
    for _ in 0..60 {
        house.talk(&mut [&mut ai], 9);
        ai.skip(1);
        house.advance(ms(20));
    }
    let lossy = last_stats(&mut house, ai.port).mos.expect("judged");
    assert!(clean.value() > 4.3 && lossy.value() < 3.9, "{clean:?} {lossy:?}");
    assert_eq!(last_stats(&mut house, caller.port).mos, None, "nothing was expected of who said nothing");
    let ssrc = house.heard_by(caller.port)[0].rtp().header.ssrc;
    let rtcp = SocketAddr::new(caller.address.ip(), 4001);
    assert_eq!(last_stats(&mut house, caller.port).remote_mos, None, "the peer has not reported");
    house.receive_rtcp(caller.port, rtcp, &report(None, Some((ssrc, 0))));
    assert!(last_stats(&mut house, caller.port).remote_mos.expect("judged").value() > 4.3);
}

#[test]
fn faults_one_way_a_peer_whose_reports_name_packets_that_do_not_come_is_told_once() {
    let mut house = House::new();
    let mut ai = house.party(2, Codec::Pcmu);
    let rtcp = SocketAddr::new(ai.address.ip(), 4001);
    // What comes is what was sent: nothing to tell.
    for sent in 1..5u32 {
        house.talk(&mut [&mut ai], 250);
        house.receive_rtcp(ai.port, rtcp, &report(Some(sent * 250), None));
    }
    assert_eq!(one_way(&mut house), []);
    // On hold it sends nothing, and says so.
    for _ in 0..4 {
        house.advance(ms(5000));
        house.receive_rtcp(ai.port, rtcp, &report(Some(1000), None));
    }
    assert_eq!(one_way(&mut house), []);
    for sent in 5..12u32 {
        house.advance(ms(5000));
        house.receive_rtcp(ai.port, rtcp, &report(Some(sent * 250), None));
    }
    assert_eq!(one_way(&mut house), [(ai.port, Direction::FromPeer)]);
}

#[test]
fn faults_one_way_a_peer_that_hears_nothing_of_ours_by_its_reports_is_told_once() {
    let mut house = House::new();
    let mut ai = house.party(2, Codec::Pcmu);
    house.plan(&[(ai.port, Source::Silence)]);
    house.talk(&mut [&mut ai], 10);
    let ssrc = house.heard_by(ai.port)[0].rtp().header.ssrc;
    let rtcp = SocketAddr::new(ai.address.ip(), 4001);
    let mut say = |reports: &[Option<u8>]| {
        for fraction in reports {
            house.talk(&mut [&mut ai], 250);
            house.receive_rtcp(ai.port, rtcp, &report(None, fraction.map(|lost| (ssrc, lost))));
        }
        one_way(&mut house)
    };
    assert_eq!(say(&[None, None, Some(0), None, Some(254), Some(255), None, Some(3)]), [], "it hears us now and then");
    assert_eq!(say(&[None, Some(255), None, None, None]), [(PortId(2), Direction::ToPeer)]);
}

#[test]
fn rfc3550_6_6_a_port_says_bye_and_its_last_event_is_its_counts() {
    let mut house = House::new();
    let mut ai = house.party(2, Codec::Pcmu);
    house.plan(&[(ai.port, Source::Silence)]);
    house.talk(&mut [&mut ai], 10);
    house.command(Command::Close { port: ai.port });
    let bye = house.all_sent().last().unwrap().clone();
    assert_eq!(kinds(&bye.bytes), [200, 202, 203]);
    assert!(matches!(house.events().last(), Some(Event::Closed { stats, .. }) if stats.packets_received == 10));
    assert_eq!(house.worker.counters().ports, 0);
    assert_eq!(house.worker.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn rfc3550_6_3_7_a_port_that_never_sent_anything_takes_no_leave() {
    let mut house = House::new();
    let mut ai = house.party(2, Codec::Pcmu);
    house.plan(&[(ai.port, Source::Nothing)]);
    house.talk(&mut [&mut ai], 10);
    house.command(Command::Close { port: ai.port });
    assert!(house.all_sent().is_empty());
    assert!(matches!(house.events().last(), Some(Event::Closed { stats, .. }) if stats.packets_received == 10));
}

#[test]
fn a_thousand_calls_leave_nothing_behind() {
    let mut house = House::new();
    for n in 0..1000 {
        let port = PortId(n + 10);
        house.command(Command::Open { port, call: CALL });
        house.command(Command::Close { port });
    }
    assert_eq!(house.events().len(), 1000);
    assert_eq!((house.worker.counters().ports, house.worker.poll_timeout()), (0, None));
}
