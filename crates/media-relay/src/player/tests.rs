//! What is heard at the joints, and where it goes on.

use super::*;
use crate::{Begin, Order, Playlist};
use rand::SeedableRng;
use std::time::Duration;

fn clip(value: i16, samples: usize) -> Clip {
    Clip::from_pcm16(&vec![value; samples])
}

fn play(first: &[&str], then: Then) -> Play {
    Play { id: PlayId(1), first: first.iter().map(|name| Arc::from(*name)).collect(), words: None, then }
}

fn player(play: &Play, library: &Library) -> Player {
    Player::new(play, None, library, &Arc::new(clip(0, 1)), None, &mut StdRng::seed_from_u64(1))
}

fn heard(player: &mut Player, samples: usize) -> Vec<i16> {
    let mut frame = vec![0; samples];
    player.fill_linear(8000, &mut frame);
    frame
}

fn tone(hz: f32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|n| crate::resample::rounded(10_000.0 * (std::f32::consts::TAU * hz * n as f32 / 8000.0).sin()))
        .collect()
}

#[test]
fn clips_follow_each_other_within_a_frame_and_the_last_thing_lasts() {
    let mut library = Library::default();
    library.insert("a", clip(1000, 100));
    library.insert("b", clip(-1000, 100));
    library.insert("empty", clip(0, 0));
    library.insert("music", clip(3000, 70));
    let mut player = player(&play(&["a", "unknown", "empty", "b"], Then::Loop("music".into())), &library);
    let [a, b, music] = [1000, -1000, 3000].map(|sample| Codec::Pcmu.encode(sample));
    let mut frame = [0; 160];
    assert_eq!(player.fill(Codec::Pcmu, &mut frame), None);
    assert_eq!((frame[50], frame[150]), (a, b));
    assert_eq!(player.fill(Codec::Pcmu, &mut frame), Some((PlayId(1), 4)));
    assert_eq!((frame[0], frame[40], frame[159]), (b, music, music));
    assert_eq!(player.fill(Codec::Pcmu, &mut frame), None, "reported once");
    assert_eq!(frame, [music; 160], "what follows itself without a step is not touched");
}

#[test]
fn a_playlist_of_nothing_is_over_at_once_and_silent() {
    let mut player = player(&play(&["unknown"], Then::Loop("unknown".into())), &Library::default());
    let mut frame = [0; 160];
    assert_eq!(player.fill(Codec::Pcma, &mut frame), Some((PlayId(1), 1)));
    assert_eq!(frame, [0xd5; 160]);
}

/// A click is a step larger than any that the audio itself makes.
#[test]
fn at_no_joint_there_is_a_step_larger_than_the_clips_own() {
    let mut library = Library::default();
    // Neither begins nor ends at zero.
    library.insert("prompt", Clip::from_pcm16(&tone(430.0, 1037)[9..]));
    library.insert("one", Clip::from_pcm16(&tone(310.0, 2011)[5..]));
    library.insert("two", Clip::from_pcm16(&tone(510.0, 1503)[3..]));
    library.insert("loop", Clip::from_pcm16(&tone(270.0, 1201)[7..]));
    let list = |fade_in| Playlist {
        clips: vec!["one".to_owned(), "two".to_owned()],
        order: Order::AsListed,
        begin: Begin::Anywhere,
        goes_on: true,
        fade_in,
    };
    library.insert_playlist("list", &list(Duration::ZERO));
    for then in [Then::Silence, Then::Loop("list".into()), Then::Loop("loop".into())] {
        let mut player = player(&play(&["prompt", "prompt"], then.clone()), &library);
        let mut all = vec![0];
        for _ in 0..100 {
            all.extend(heard(&mut player, 160));
        }
        let step = all.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        assert!(step < Some(4200), "{then:?}: a step of {step:?}");
        let wide: Vec<i16> = {
            let mut frame = vec![0; 16_000];
            let mut player = self::player(&play(&["prompt"], then.clone()), &library);
            player.fill_linear(16_000, &mut frame);
            frame
        };
        let step = wide.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        assert!(step < Some(2400), "{then:?} at 16 kHz: a step of {step:?}");
    }
}

#[test]
fn music_comes_up_over_its_fade_and_no_prompt_does() {
    let mut library = Library::default();
    library.insert("prompt", Clip::from_pcm16(&[0, 8000].repeat(400)));
    library.insert("music", clip(8000, 80_000));
    let list = Playlist {
        clips: vec!["music".to_owned()],
        order: Order::AsListed,
        begin: Begin::First,
        goes_on: true,
        fade_in: Duration::from_millis(200),
    };
    library.insert_playlist("list", &list);
    let mut player = player(&play(&["prompt"], Then::Loop("list".into())), &library);
    assert_eq!(heard(&mut player, 800)[1], 8000);
    let music = heard(&mut player, 2400);
    for (at, wanted) in [(0, 0), (400, 2000), (800, 4000), (1200, 6000), (1600, 8000), (2300, 8000)] {
        assert!((i32::from(music[at]) - wanted).abs() < 60, "{} instead of {wanted} at {at}", music[at]);
    }
    player.go_on();
    assert!(heard(&mut player, 160)[80] < 500, "and again each time it goes on");
}

#[test]
fn music_goes_on_where_the_caller_left_off_and_only_if_it_is_the_same() {
    let mut library = Library::default();
    let ramp: Vec<i16> = (0..20_000).collect();
    library.insert("music", Clip::from_pcm16(&ramp));
    library.insert("other", Clip::from_pcm16(&ramp));
    let list = Playlist {
        clips: vec!["music".to_owned()],
        order: Order::AsListed,
        begin: Begin::First,
        goes_on: false,
        fade_in: Duration::ZERO,
    };
    library.insert_playlist("anew", &list);
    let mut before = player(&play(&[], Then::Loop("music".into())), &library);
    heard(&mut before, 5000);
    let after = |name: &str, left_off: &Player| {
        let play = play(&[], Then::Loop(name.into()));
        let left_off = left_off.lasting().cloned();
        let mut player =
            Player::new(&play, None, &library, &Arc::new(clip(0, 1)), left_off, &mut StdRng::seed_from_u64(1));
        heard(&mut player, 160)
    };
    assert_eq!(after("music", &before)[100], 5100);
    assert_eq!(after("other", &before)[100], 100);
    let mut anew = player(&play(&[], Then::Loop("anew".into())), &library);
    heard(&mut anew, 5000);
    assert_eq!(after("anew", &anew)[100], 100, "a list that begins again");
}

#[test]
fn what_is_added_to_a_queue_is_said_after_it_and_its_end_says_how_much_was_said() {
    let mut library = Library::default();
    library.insert("a", clip(100, 160));
    library.insert("b", clip(200, 160));
    let names: Vec<Arc<str>> = ["a", "b", "b"].map(Arc::from).to_vec();
    let mut player = player(&play(&["a"], Then::Silence), &library);
    let mut frame = [0; 160];
    assert_eq!(player.fill_linear(8000, &mut frame), Some((PlayId(1), 1)));
    player.extend(&names[..2], &library);
    player.extend(&names[..2], &library);
    assert_eq!(player.fill_linear(8000, &mut frame[..80]), None);
    player.extend(&names, &library);
    assert_eq!(player.fill_linear(8000, &mut frame), None);
    assert_eq!(frame[20], 200);
    assert_eq!(player.fill_linear(8000, &mut frame), Some((PlayId(1), 3)));
    assert_eq!(heard(&mut player, 160), [0; 160]);
}
