//! What a tap hands over: what a port receives and is sent, and nothing else; and what happens when nobody takes it away.

use crate::house::{EVENT_TYPE, House, Party, ms, music, raw};
use media_relay::{Block, Codec, Command, Frame, PortId, Source, Tap, TapId, Taps};
use std::sync::mpsc::{Receiver, sync_channel};

const ID: TapId = TapId(9);

fn tapped(house: &mut House) -> Receiver<Box<Block>> {
    let (reader, blocks) = sync_channel(1_000);
    house.worker.set_taps(Taps::new(vec![reader]));
    blocks
}

fn tap(port: PortId, received: Option<u8>, sent: Option<u8>) -> Command {
    Command::Tap { port, tap: Tap { id: ID, received, sent } }
}

fn read(blocks: &Receiver<Box<Block>>) -> Vec<(Frame, Vec<u8>)> {
    let mut frames = Vec::new();
    for block in blocks.try_iter() {
        assert_eq!(block.tap(), ID);
        frames.extend(block.frames().map(|(frame, payload)| (frame, payload.to_vec())));
        block.give_back();
    }
    frames
}

fn two(house: &mut House) -> (Party, Party) {
    let (caller, ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcma));
    house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, Source::Port(caller.port))]);
    (caller, ai)
}

#[test]
fn everything_received_and_sent_is_handed_over_once_and_in_the_codec_of_the_wire() {
    let mut house = House::new();
    let blocks = tapped(&mut house);
    let (mut caller, mut ai) = two(&mut house);
    house.command(tap(caller.port, Some(0), Some(1)));
    let (mut said, mut frames) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        said.push(house.speak(&mut caller)[12..].to_vec());
        house.speak(&mut ai);
        house.advance(ms(20));
        frames.extend(read(&blocks));
    }
    house.command(tap(caller.port, None, None));
    let heard: Vec<Vec<u8>> = house.heard_by(caller.port).iter().map(|sent| sent.rtp().payload.to_vec()).collect();
    frames.extend(read(&blocks));
    let of = |channel: u8| -> Vec<Vec<u8>> {
        frames.iter().filter(|(frame, _)| frame.channel == channel).map(|(_, payload)| payload.clone()).collect()
    };
    assert!(of(0) == said, "what the caller says");
    assert!(of(1) == heard, "what the caller hears");
    assert!(frames.iter().all(|(frame, _)| frame.codec == Codec::Pcmu), "converted as the caller hears it");
    house.talk(&mut [&mut caller, &mut ai], 50);
    assert!(read(&blocks).is_empty(), "a tap that was taken off hands nothing over");
}

#[test]
fn music_is_tapped_and_telephone_events_and_foreign_packets_are_not() {
    let mut house = House::new();
    let blocks = tapped(&mut house);
    let (mut caller, _ai) = two(&mut house);
    house.plan(&[(caller.port, music(1))]);
    house.command(tap(caller.port, Some(0), Some(1)));
    let start = caller.timestamp;
    for step in 1..=5 {
        let bytes = caller.event(5, step == 5, start, step * 160);
        house.receive(caller.port, caller.address, &bytes);
        house.advance(ms(20));
    }
    let stranger = "10.0.0.77:4000".parse().expect("an address");
    house.receive(caller.port, stranger, &raw(0, false, 1, 1, 666, &[1; 160]));
    house.command(Command::SendDtmf { port: caller.port, digits: "7".to_owned() });
    house.advance(ms(500));
    let frames = read(&blocks);
    assert!(frames.iter().all(|(frame, _)| frame.channel == 1), "neither digits nor strangers are heard");
    let audio: Vec<_> =
        house.heard_by(caller.port).into_iter().filter(|sent| sent.rtp().header.payload_type != EVENT_TYPE).collect();
    assert!(audio.len() > 15 && frames.len() + 15 >= audio.len(), "{} of {}", frames.len(), audio.len());
    assert!(frames.iter().all(|(_, payload)| payload.len() == 160), "no event among them");
}

#[test]
fn blocks_come_within_300_ms_however_little_is_said() {
    let mut house = House::new();
    let blocks = tapped(&mut house);
    let (mut caller, _ai) = two(&mut house);
    house.command(tap(caller.port, Some(0), None));
    house.speak(&mut caller);
    house.advance(ms(300));
    assert_eq!(read(&blocks).len(), 1);
}

#[test]
fn a_reader_that_takes_nothing_away_costs_its_recording_alone_and_the_loss_is_counted() {
    let mut house = House::new();
    let blocks = tapped(&mut house);
    let (mut caller, mut ai) = two(&mut house);
    house.command(tap(caller.port, Some(0), Some(1)));
    house.talk(&mut [&mut caller, &mut ai], 500);
    assert_eq!(house.heard_by(ai.port).len(), 500, "the call goes on");
    let waiting: Vec<_> = blocks.try_iter().collect();
    let (frames, dropped) =
        (waiting.iter().map(|block| block.frames().count() as u64).sum::<u64>(), waiting[0].dropped());
    assert!(frames > 100 && dropped > 100, "{frames} kept, {dropped} dropped");
    waiting.into_iter().for_each(Block::give_back);
    house.talk(&mut [&mut caller, &mut ai], 50);
    house.advance(ms(300));
    let later: Vec<_> = blocks.try_iter().collect();
    assert_eq!(later.iter().map(|block| block.frames().count()).sum::<usize>(), 100, "it goes on once there is room");
    assert!(later.iter().all(|block| block.dropped() == later[0].dropped()), "and drops no more");
    assert_eq!(frames + later[0].dropped() + 100, 1_100, "every frame is either kept or counted");
}

#[test]
fn a_port_that_goes_over_to_another_call_leaves_its_tap_behind() {
    let mut house = House::new();
    let blocks = tapped(&mut house);
    let (mut caller, _ai) = two(&mut house);
    house.command(tap(caller.port, Some(0), Some(1)));
    house.speak(&mut caller);
    house.command(Command::Adopt { port: caller.port, call: media_relay::CallKey(2) });
    assert_eq!(read(&blocks).len(), 1, "what was said before is handed over at once");
    for _ in 0..10 {
        house.speak(&mut caller);
    }
    house.advance(ms(300));
    assert!(read(&blocks).is_empty());
}

#[test]
fn what_a_peer_may_not_send_by_agreement_is_not_recorded() {
    let mut house = House::new();
    let blocks = tapped(&mut house);
    let (mut caller, _ai) = two(&mut house);
    let mut stream = crate::house::stream(caller.address, Codec::Pcmu);
    stream.may_receive = false;
    house.command(Command::Describe { port: caller.port, stream: Box::new(stream) });
    house.command(tap(caller.port, Some(0), None));
    house.speak(&mut caller);
    house.advance(ms(300));
    assert!(read(&blocks).is_empty());
}
