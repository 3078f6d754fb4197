//! Recordings that are encrypted: what is on the disk at any moment, and who can read it.

use super::*;
use crate::Timeline;
use age::x25519::Identity;
use std::io::Read as _;

const FORM: Form = Form::Wav(Format::Pcm16);

fn keys() -> (Identity, Recipients) {
    let identity = Identity::generate();
    let recipient = identity.to_public().to_string().parse().unwrap();
    (identity, Recipients::new(vec![recipient]))
}

/// By the library, which knows nothing of how the file came to be.
fn opened(path: &Path, identity: &Identity) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap();
    let decryptor = age::Decryptor::new(file).unwrap();
    let mut opened = Vec::new();
    let mut reader = decryptor.decrypt(std::iter::once(identity as &dyn age::Identity)).unwrap();
    reader.read_to_end(&mut opened).unwrap();
    opened
}

/// The caller's channel of a 16-bit WAV file, whatever its header says of its length.
fn left(wav: &[u8]) -> Vec<i16> {
    let audio = &wav[wav::header_length(Format::Pcm16)..];
    audio.chunks_exact(4).map(|frame| i16::from_le_bytes([frame[0], frame[1]])).collect()
}

/// Ten samples in a row of what the caller says, in any file.
fn in_the_clear(house: &House) -> Option<PathBuf> {
    let spoken = |bytes: &[u8]| {
        (0..100).any(|n| {
            let sample = Codec::Pcma.decode(word(n)).to_le_bytes();
            let pattern = [sample[0], sample[1]].repeat(10);
            let [one, other] = [0, 2].map(|skip: usize| {
                let every: Vec<u8> =
                    bytes.get(skip..).unwrap_or_default().chunks_exact(4).flat_map(|it| [it[0], it[1]]).collect();
                every.windows(20).any(|window| window == pattern)
            });
            one || other
        })
    };
    house.files().into_iter().find(|path| spoken(&std::fs::read(path).unwrap()))
}

fn copied(house: &House) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in house.files() {
        let to = folder.path().join(file.strip_prefix(house.folder.path()).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&file, &to).unwrap();
    }
    folder
}

fn with_ending(folder: &Path, ending: &str) -> PathBuf {
    let day = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
    day.unwrap().join(format!("{CALL}.{ending}"))
}

#[test]
fn the_search_for_what_is_in_the_clear_finds_it() {
    let mut house = House::formed(FORM);
    house.speak(100);
    assert!(in_the_clear(&house).is_some());
}

#[test]
fn an_encrypted_recording_is_an_age_file_that_each_of_its_recipients_opens_and_nobody_else() {
    let [one, other, stranger] = [(); 3].map(|()| Identity::generate());
    let recipients = [&one, &other].map(|identity| identity.to_public().to_string().parse().unwrap());
    let mut house = House::encrypted(FORM, Recipients::new(recipients.to_vec()));
    house.desk.order(Order::Heard(TAP, house.now.monotonic, vec![(0, "caller".to_owned()), (1, "ai-1".to_owned())]));
    for _ in 0..5 {
        house.speak(100);
        assert_eq!(in_the_clear(&house), None, "while it grows");
    }
    let news = house.finish();
    let [Outcome::Finished { duration_ms: 10_000, bytes, encrypted_to, .. }] = &news[..] else { panic!("{news:?}") };
    assert_eq!(encrypted_to, &[&one, &other].map(|identity| identity.to_public().to_string()));
    let archive = house.archive();
    let audio = archive.audio(CALL).unwrap();
    assert!(audio.to_string_lossy().ends_with(".wav.age"), "{audio:?}");
    assert_eq!(std::fs::metadata(&audio).unwrap().len(), *bytes);
    for identity in [&one, &other] {
        let wav = opened(&audio, identity);
        let reader = hound::WavReader::new(&wav[..]).unwrap();
        assert_eq!(reader.duration(), 80_000, "its header knows its length");
        assert_eq!(whole(&left(&wav)), (0..500).collect::<Vec<_>>());
    }
    let file = std::fs::File::open(&audio).unwrap();
    let refused = age::Decryptor::new(file).unwrap().decrypt(std::iter::once(&stranger as &dyn age::Identity)).is_err();
    assert!(refused);

    let outline = archive.timeline(CALL).unwrap();
    assert_eq!((outline.state, outline.complete, outline.duration_ms), (State::Finished, true, 10_000));
    assert!(outline.segments.is_empty() && outline.events.is_empty());
    let sealed = archive.whole_timeline(CALL).unwrap();
    assert_eq!(sealed.file_name().unwrap().to_str(), outline.encrypted.unwrap().timeline.as_deref());
    let whole: Timeline = serde_json::from_slice(&opened(&sealed, &one)).unwrap();
    assert_eq!((whole.segments.len(), whole.state), (2, State::Finished));
    assert_eq!(in_the_clear(&house), None);
    assert_eq!(house.files().len(), 3, "{:?}", house.files());

    archive.delete(CALL).unwrap();
    assert!(house.files().is_empty() && !audio.parent().unwrap().exists(), "{:?}", house.files());
}

#[test]
fn an_encrypted_opus_recording_plays_to_the_sample() {
    let (identity, recipients) = keys();
    let mut house = House::encrypted(Form::OggOpus, recipients);
    house.speak(700);
    house.finish();
    let audio = house.archive().audio(CALL).unwrap();
    assert!(audio.to_string_lossy().ends_with(".opus.age"), "{audio:?}");
    assert_eq!(crate::opus::whole(&opened(&audio, &identity)).unwrap().samples, 112_000);
}

/// faults.md: after kill -9 up to the last second is there, and no key was needed for that.
#[test]
fn killed_at_any_moment_an_encrypted_recording_can_be_opened_up_to_the_last_second() {
    let (identity, recipients) = keys();
    // 102 and 103 frames are on both sides of the first full chunk, and so on.
    for frames in [1, 24, 26, 27, 60, 99, 102, 103, 134, 135, 136, 137, 138, 139, 333, 1_000] {
        let mut house = House::encrypted(FORM, recipients.clone());
        house.desk.order(Order::Heard(TAP, house.now.monotonic, vec![(0, "caller".to_owned())]));
        house.speak(frames);
        let folder = copied(&house);
        let archive = Archive::new(folder.path().to_owned());
        assert_eq!(archive.recover(false), 1, "after {frames} frames");
        let outline = archive.timeline(CALL).unwrap();
        assert_eq!((outline.state, outline.complete), (State::Interrupted, false));
        if frames > 50 {
            let wav = opened(&archive.audio(CALL).unwrap(), &identity);
            let left = left(&wav);
            assert_eq!(outline.duration_ms, left.len() as u64 / 8);
            let plays = whole(&left).len();
            assert!(plays + 50 >= frames as usize, "{plays} of {frames} play");
            let timeline: Timeline =
                serde_json::from_slice(&opened(&archive.whole_timeline(CALL).unwrap(), &identity)).unwrap();
            assert_eq!(timeline.segments.len(), 1);
        }
        let names: Vec<_> = std::fs::read_dir(archive.directory().join("2026-11-18")).map_or_else(
            |_| Vec::new(),
            |day| day.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect(),
        );
        assert!(names.iter().all(|name| name.ends_with(".age") || name.ends_with(".json")), "{names:?}");
        assert_eq!(archive.recover(false), 0, "once is enough");
    }
}

#[test]
fn a_kill_in_the_middle_of_a_write_costs_what_was_written_by_it() {
    let (identity, recipients) = keys();
    let mut house = House::encrypted(FORM, recipients);
    house.speak(160);
    let tail = with_ending(house.folder.path(), "wav.age.tail");
    let before = std::fs::read(&tail).unwrap();
    house.speak(20);
    let after = std::fs::read(&tail).unwrap();
    let first = before.iter().zip(&after).position(|(before, after)| before != after).unwrap();
    // Of what was written last, every beginning.
    for torn in [1, 47, 48, 4_096, 30_000] {
        let folder = copied(&house);
        let mut half = after.clone();
        half[first + torn..]
            .copy_from_slice(&[&before[..], &vec![0; after.len() - before.len()]].concat()[first + torn..]);
        std::fs::write(with_ending(folder.path(), "wav.age.tail"), &half).unwrap();
        let main = with_ending(folder.path(), "wav.age.part");
        let grown = std::fs::OpenOptions::new().append(true).open(main).unwrap();
        io::Write::write_all(&mut &grown, b"half a chunk").unwrap();
        let archive = Archive::new(folder.path().to_owned());
        assert_eq!(archive.recover(false), 1);
        let plays = whole(&left(&opened(&archive.audio(CALL).unwrap(), &identity))).len();
        assert!(plays >= 120, "{plays} of 180 play");
    }
}

#[test]
fn what_was_closed_when_the_daemon_died_over_the_closing_is_taken_as_it_is() {
    let (identity, recipients) = keys();
    let mut house = House::encrypted(FORM, recipients);
    house.speak(300);
    let grown = copied(&house);
    house.finish();
    let done = copied(&house);
    for (half_written, named) in [(true, false), (false, true)] {
        let folder = tempfile::tempdir().unwrap();
        let day = folder.path().join("2026-11-18");
        std::fs::create_dir_all(&day).unwrap();
        for ending in ["wav.age.part", "wav.age.tail", "json.part", "json.age.part"] {
            let from = with_ending(grown.path(), ending);
            if from.exists() {
                std::fs::copy(from, day.join(format!("{CALL}.{ending}"))).unwrap();
            }
        }
        let audio = std::fs::read(with_ending(done.path(), "wav.age")).unwrap();
        if half_written {
            std::fs::write(day.join(format!("{CALL}.wav.age.new")), &audio[..audio.len() / 2]).unwrap();
        }
        if named {
            std::fs::write(day.join(format!("{CALL}.wav.age")), &audio).unwrap();
        }
        let archive = Archive::new(folder.path().to_owned());
        assert_eq!(archive.recover(false), 1);
        let plays = whole(&left(&opened(&archive.audio(CALL).unwrap(), &identity))).len();
        assert!(plays >= if named { 300 } else { 250 }, "{plays} play");
        let files = std::fs::read_dir(&day).unwrap().count();
        assert!(files <= 3, "{files} files");
    }
}

/// faults.md, row 21: ENOSPC.
#[test]
fn fault_21_a_full_disk_leaves_silence_in_an_encrypted_recording_and_what_is_around_it_in_its_place() {
    let (identity, recipients) = keys();
    let mut house = House::encrypted(FORM, recipients);
    house.speak(200);
    house.fails_with(28);
    house.speak(1_000);
    house.fails_with(0);
    house.speak(300);
    let news = house.finish();
    let Outcome::Finished { duration_ms, flaws, .. } = &news[1] else { panic!("{news:?}") };
    assert_eq!((*duration_ms, news.len()), (30_000, 2));
    assert!(flaws.write_errors > 5 && flaws.unwritten_ms > 1_000, "{flaws:?}");
    let whole = whole(&left(&opened(&house.archive().audio(CALL).unwrap(), &identity)));
    assert_eq!((0..160).chain(1_250..1_500).find(|n| !whole.contains(n)), None);
}

#[test]
fn fault_21_a_disk_without_room_for_a_second_copy_leaves_the_first_which_can_be_opened() {
    let (identity, recipients) = keys();
    let mut house = House::encrypted(FORM, recipients);
    house.speak(400);
    house.fails_with(NO_SECOND_COPY);
    let news = house.finish();
    assert!(matches!(news[..], [Outcome::Finished { duration_ms: 8_000, .. }]), "{news:?}");
    let wav = opened(&house.archive().audio(CALL).unwrap(), &identity);
    assert_eq!(whole(&left(&wav)).len(), 400);
    assert_eq!(wav[4..8], [0xff; 4], "its length was not known when it began");
    assert_eq!(house.files().len(), 3, "{:?}", house.files());
}

#[test]
fn a_disk_that_refuses_the_first_write_alone_costs_the_recording_nothing() {
    for recipients in [Recipients::default(), keys().1] {
        let mut house = House::encrypted(FORM, recipients);
        house.refuses_bytes(true);
        house.speak(100);
        house.refuses_bytes(false);
        house.speak(100);
        let news = house.finish();
        let [Outcome::Failed { .. }, Outcome::Finished { duration_ms: 4_000, flaws, .. }] = &news[..] else {
            panic!("{news:?}")
        };
        assert_eq!(flaws.unwritten_ms, 0, "two seconds waited in memory");
    }
}

#[test]
fn of_an_encrypted_message_who_left_it_is_in_the_encrypted_file_alone() {
    let (identity, recipients) = keys();
    let mut house = House::encrypted(FORM, recipients);
    message_begins(&mut house);
    house.speak(150);
    house.desk.order(Order::Keep(MESSAGE_TAP, house.now.monotonic, "hung_up".into()));
    house.news();
    let archive = Archive::new(house.folder.path().join("messages"));
    let outline = archive.timeline(MESSAGE).unwrap();
    assert_eq!(outline.message.map(|message| (message.mailbox, message.from)), Some(("sales".to_owned(), None)));
    let said = serde_json::from_slice::<Timeline>(&opened(&archive.whole_timeline(MESSAGE).unwrap(), &identity));
    assert_eq!(said.unwrap().message.unwrap().from.as_deref(), Some("+4930"));
    archive.delete(MESSAGE).unwrap();
    assert!(!house.files().iter().any(|file| file.to_string_lossy().contains(MESSAGE)), "{:?}", house.files());
}

#[test]
fn of_an_encrypted_message_that_is_thrown_away_nothing_stays() {
    let mut house = House::encrypted(FORM, keys().1);
    message_begins(&mut house);
    house.speak(150);
    assert!(house.files().iter().any(|file| file.to_string_lossy().contains(MESSAGE)), "{:?}", house.files());
    house.desk.order(Order::Discard(MESSAGE_TAP));
    house.finish();
    assert_eq!(house.files().len(), 3, "the recording's: {:?}", house.files());
}

#[test]
fn a_key_that_is_none_is_refused_by_what_it_is_and_never_repeated() {
    use super::super::{Recipient, RecipientError};
    use age::secrecy::ExposeSecret as _;
    let identity = Identity::generate();
    let (secret, public) = (identity.to_string().expose_secret().to_owned(), identity.to_public().to_string());
    // One character of the data and no other: the prefix would make it something else, and the same character no damage.
    let damaged = format!("{}{}{}", &public[..20], if &public[20..21] == "q" { "p" } else { "q" }, &public[21..]);
    for (text, expected) in [
        (&*secret, RecipientError::Private),
        (&secret.to_lowercase(), RecipientError::Private),
        (&format!("age1{secret}"), RecipientError::Private),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", RecipientError::Kind),
        ("age1yubikey1q0", RecipientError::Kind),
        ("", RecipientError::NoKey),
        ("alice", RecipientError::NoKey),
        ("age1", RecipientError::Damaged),
        (&damaged, RecipientError::Damaged),
        (&public[..40], RecipientError::Damaged),
    ] {
        let error = text.parse::<Recipient>().unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains(&secret[15..]));
    }
    assert_eq!(public.parse::<Recipient>().unwrap().to_string(), public);
}
