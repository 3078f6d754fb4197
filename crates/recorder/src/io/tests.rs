//! What ends up in files: whole recordings, what a full or broken disk leaves of them, and what a kill leaves.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files are looked at")]

use super::{Archive, ArchiveError, Beginning, Config, Desk, Disk, Order, Outcome, RealDisk, Recipients, Store};
use crate::{
    Form, Message, Reason, State,
    wav::{self, Format},
};
use clock::{Monotonic, Now};
use media_relay::{
    Age, Block, CallKey, Channel, Codec, Command, PortId, Slot, Source, Stream, Tap, TapId, Taps, Wire, Worker,
};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::{Duration, SystemTime},
};

mod encrypted;
mod uploads;

const CALL: &str = "c_01JDKQ2J8Z0000000000000000";
const TAP: TapId = TapId(1);
const MESSAGE: &str = "v_01JDKQ2J8Z0000000000000001";
const MESSAGE_TAP: TapId = TapId(1 | 1 << 63);
const PORT: PortId = PortId(1);

/// What the switch of a disk says that has no room for a recording to be written anew.
const NO_SECOND_COPY: u8 = 200;

/// A disk with a switch: 0 works, otherwise an errno; and a count of what was put on the medium.
#[derive(Clone)]
struct Switched(Arc<AtomicU8>, Arc<AtomicU8>);

/// What the switch of a disk says that makes files and takes no bytes.
const NO_BYTES: u8 = 201;

struct SwitchedStore(Box<dyn Store>, Arc<AtomicU8>, Arc<AtomicU8>);

impl Switched {
    fn check(switch: &AtomicU8) -> io::Result<()> {
        match switch.load(Ordering::Relaxed) {
            0 | NO_SECOND_COPY | NO_BYTES => Ok(()),
            errno => Err(io::Error::from_raw_os_error(i32::from(errno))),
        }
    }
}

impl Disk for Switched {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Store>> {
        Self::check(&self.0)?;
        if self.0.load(Ordering::Relaxed) == NO_SECOND_COPY && path.extension().is_some_and(|ending| ending == "new") {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(Box::new(SwitchedStore(RealDisk.create(path)?, Arc::clone(&self.0), Arc::clone(&self.1))))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        Self::check(&self.0)?;
        RealDisk.open(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        Self::check(&self.0)?;
        RealDisk.replace(path, bytes)
    }

    fn replace_for_good(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        Self::check(&self.0)?;
        RealDisk.replace_for_good(path, bytes)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Self::check(&self.0)?;
        self.1.fetch_add(1, Ordering::Relaxed);
        RealDisk.sync_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Self::check(&self.0)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Self::check(&self.0)?;
        RealDisk.remove(path)
    }

    fn remove_empty(&self, folder: &Path) {
        RealDisk.remove_empty(folder);
    }
}

impl Store for SwitchedStore {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        Switched::check(&self.1)?;
        if self.1.load(Ordering::Relaxed) == NO_BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        Switched::check(&self.1)?;
        self.2.fetch_add(1, Ordering::Relaxed);
        self.0.sync()
    }
}

struct Nowhere;

impl Wire for Nowhere {
    fn transmit(&mut self, _: Slot, _: Channel, _: SocketAddr, _: &[u8]) {}
}

fn config(folder: &Path, form: Form) -> Config {
    Config {
        directory: folder.to_owned(),
        messages: folder.join("messages"),
        form,
        encrypt_to: Recipients::default(),
        upload: false,
    }
}

/// A caller behind a port of a real relay worker, tapped; and the desk that writes what comes. The caller says its frame
/// numbers, and hears silence.
struct House {
    worker: Worker,
    blocks: Receiver<Box<Block>>,
    desk: Desk<Switched>,
    switch: Arc<AtomicU8>,
    synced: Arc<AtomicU8>,
    now: Now,
    said: u32,
    folder: tempfile::TempDir,
}

impl House {
    fn new(format: Format) -> Self {
        Self::formed(Form::Wav(format))
    }

    fn formed(form: Form) -> Self {
        Self::encrypted(form, Recipients::default())
    }

    /// Its recordings are to be uploaded.
    fn uploading(form: Form) -> Self {
        let mut house = Self::formed(form);
        let config = Config { upload: true, ..config(house.folder.path(), form) };
        house.desk = Desk::new(config, Switched(Arc::clone(&house.switch), Arc::clone(&house.synced)));
        let channels = vec!["caller".to_owned(), "heard".to_owned()];
        let beginning =
            Beginning { call: CALL.to_owned(), line: "support".to_owned(), channels, at: house.now, message: None };
        house.desk.order(Order::Start(TAP, Box::new(beginning)));
        house
    }

    fn encrypted(form: Form, encrypt_to: Recipients) -> Self {
        let now =
            Now { monotonic: Monotonic::from_nanos(5_000_000_000), unix: Duration::from_millis(1_795_000_000_000) };
        let folder = tempfile::tempdir().unwrap();
        let (reader, blocks) = sync_channel(1_000);
        let mut worker = Worker::new(Arc::default(), 1, now);
        worker.set_taps(Taps::new(vec![reader]));
        let stream = Stream { remote_rtcp: address(), ..Stream::new(address(), Codec::Pcma) };
        for command in [
            Command::Open { port: PORT, call: CallKey(1) },
            Command::Describe { port: PORT, stream: Box::new(stream) },
            Command::Plan { call: CallKey(1), generation: 1, sources: vec![(PORT, Source::Silence)] },
            Command::Tap { port: PORT, tap: Tap { id: TAP, received: Some(0), sent: Some(1) } },
        ] {
            worker.handle_command(now, command, &mut Nowhere);
        }
        let (switch, synced) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicU8::new(0)));
        let mut desk = Desk::new(
            Config { encrypt_to, ..config(folder.path(), form) },
            Switched(Arc::clone(&switch), Arc::clone(&synced)),
        );
        let channels = vec!["caller".to_owned(), "heard".to_owned()];
        let beginning =
            Beginning { call: CALL.to_owned(), line: "support".to_owned(), channels, at: now, message: None };
        desk.order(Order::Start(TAP, Box::new(beginning)));
        Self { worker, blocks, desk, switch, synced, now, said: 0, folder }
    }

    /// The caller speaks for so many frames of 20 ms.
    fn speak(&mut self, frames: u32) {
        for _ in 0..frames {
            let mut bytes = vec![0x80, 8];
            bytes.extend(u16::try_from(self.said & 0xffff).unwrap().to_be_bytes());
            bytes.extend((self.said * 160).to_be_bytes());
            bytes.extend(9u32.to_be_bytes());
            bytes.extend([word(self.said); 160]);
            self.said += 1;
            let slot = self.worker.slot(PORT).unwrap();
            self.worker.handle_rtp(self.now.monotonic, slot, address(), &mut bytes, Age::Fresh, &mut Nowhere);
            let until = self.now.monotonic + Duration::from_millis(20);
            while let Some(due) = self.worker.poll_timeout().filter(|due| *due <= until) {
                self.now = self.now.after(due.since(self.now.monotonic));
                self.worker.handle_timeout(self.now, &mut Nowhere);
            }
            self.now = self.now.after(until.since(self.now.monotonic));
            self.blocks.try_iter().for_each(|block| self.desk.block(block));
            self.desk.tick(self.now.monotonic);
        }
    }

    fn fails_with(&self, errno: u8) {
        self.switch.store(errno, Ordering::Relaxed);
    }

    fn refuses_bytes(&self, refuses: bool) {
        self.fails_with(if refuses { NO_BYTES } else { 0 });
    }

    fn finish(&mut self) -> Vec<Outcome> {
        self.worker.handle_command(self.now, Command::Close { port: PORT }, &mut Nowhere);
        self.desk.order(Order::Finish(TAP, self.now.monotonic));
        for _ in 0..40 {
            self.now = self.now.after(Duration::from_millis(50));
            self.blocks.try_iter().for_each(|block| self.desk.block(block));
            self.desk.tick(self.now.monotonic);
        }
        assert_eq!(self.desk.active(), 0);
        std::iter::from_fn(|| self.desk.poll_news()).map(|news| news.what).collect()
    }

    /// What has been told so far, half a second later.
    fn news(&mut self) -> Vec<super::News> {
        self.speak(50);
        std::iter::from_fn(|| self.desk.poll_news()).collect()
    }

    fn archive(&self) -> Archive {
        Archive::new(self.folder.path().to_owned())
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    fn left(&self, path: &Path) -> Vec<i16> {
        let samples: Vec<i16> = hound::WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect();
        samples.into_iter().step_by(2).collect()
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4000))
}

fn word(n: u32) -> u8 {
    u8::try_from(n % 100 + 0x80).unwrap()
}

/// The frames in which every sample is the frame's own number; what is not, and not silent, is a fault.
fn whole(left: &[i16]) -> Vec<usize> {
    let mut whole = Vec::new();
    for (n, chunk) in left.chunks(160).enumerate() {
        let own = Codec::Pcma.decode(word(u32::try_from(n).unwrap()));
        if chunk.iter().all(|sample| *sample == own) {
            whole.push(n);
        } else {
            assert!(chunk.iter().all(|sample| sample.abs() <= 8), "frame {n} holds {:?}", &chunk[..4]);
        }
    }
    whole
}

#[test]
fn a_recording_is_a_wav_file_with_its_timeline_beside_it_and_nothing_else() {
    let mut house = House::new(Format::Pcm16);
    let at = house.now.monotonic;
    house.desk.order(Order::Heard(TAP, at, vec![(0, "caller".to_owned()), (1, "ai-1".to_owned())]));
    house.speak(250);
    house.desk.order(Order::Heard(TAP, house.now.monotonic, vec![(0, "caller".to_owned()), (1, "music".to_owned())]));
    house.speak(250);
    let news = house.finish();
    assert!(matches!(news[..], [Outcome::Finished { duration_ms: 10_000, .. }]), "{news:?}");
    let archive = house.archive();
    assert_eq!(whole(&house.left(&archive.audio(CALL).unwrap())), (0..500).collect::<Vec<_>>());
    let timeline = archive.timeline(CALL).unwrap();
    assert_eq!((timeline.state, timeline.complete, timeline.duration_ms), (State::Finished, true, 10_000));
    let who: Vec<_> = timeline.segments.iter().map(|it| (it.channel, it.who.as_str(), it.from_ms, it.to_ms)).collect();
    let expected = [(0, "caller", 0, Some(10_000)), (1, "ai-1", 0, Some(5_000)), (1, "music", 5_000, Some(10_000))];
    assert_eq!(who, expected);
    assert_eq!(house.files().len(), 2, "{:?}", house.files());
    assert_eq!(archive.list(10).len(), 1);
}

/// A message begins now, on a tap of its own beside the recording's.
fn message_begins(house: &mut House) {
    let message = Message { id: MESSAGE.into(), mailbox: "sales".into(), from: Some("+4930".into()), ended_by: None };
    let at = house.now;
    let channels = vec!["caller".to_owned()];
    let beginning = Beginning { call: CALL.into(), line: "support".into(), channels, at, message: Some(message) };
    house.desk.order(Order::Start(MESSAGE_TAP, Box::new(beginning)));
    let tap = Tap { id: MESSAGE_TAP, received: Some(0), sent: None };
    house.worker.handle_command(at, Command::Tap { port: PORT, tap }, &mut Nowhere);
}

#[test]
fn a_message_holds_what_the_caller_says_from_its_start_on_while_the_recording_goes_on() {
    let mut house = House::new(Format::Pcm16);
    house.speak(100);
    message_begins(&mut house);
    house.speak(150);
    house.desk.order(Order::Keep(MESSAGE_TAP, house.now.monotonic, "silence".into()));
    let news = house.news();
    let [news] = &news[..] else { panic!("{news:?}") };
    let left = news.message.clone().unwrap();
    assert_eq!((left.message.mailbox.as_str(), left.message.ended_by.as_deref()), ("sales", Some("silence")));
    let archive = Archive::new(house.folder.path().join("messages"));
    assert_eq!(left.file, archive.audio(MESSAGE).ok());
    let timeline = archive.timeline(MESSAGE).unwrap();
    assert_eq!((timeline.channels, timeline.complete, timeline.duration_ms), (vec!["caller".to_owned()], true, 3_000));
    assert_eq!(timeline.message.unwrap().from.as_deref(), Some("+4930"));
    let bytes = std::fs::read(archive.audio(MESSAGE).unwrap()).unwrap();
    let samples: Vec<i16> = bytes[wav::header_length(Format::Pcm16)..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let said = |n: usize| Codec::Pcma.decode(word(u32::try_from(n).unwrap()));
    let lacking = samples.chunks(160).zip(100..).find(|(frame, n)| frame.iter().any(|sample| *sample != said(*n)));
    assert_eq!((lacking, samples.len()), (None, 150 * 160), "frames 100 to 249");
    let news = house.finish();
    assert!(matches!(news[..], [Outcome::Finished { duration_ms: 6_000, .. }]), "{news:?}");
    assert_eq!(whole(&house.left(&house.archive().audio(CALL).unwrap())).len(), 300);
    archive.delete(MESSAGE).unwrap();
    assert_eq!(house.files().len(), 2, "the recording's: {:?}", house.files());
}

#[test]
fn of_a_message_that_is_thrown_away_nothing_stays() {
    let mut house = House::new(Format::Pcm16);
    message_begins(&mut house);
    house.speak(100);
    assert!(house.files().iter().any(|file| file.to_string_lossy().contains(MESSAGE)), "{:?}", house.files());
    house.desk.order(Order::Discard(MESSAGE_TAP));
    // What was on its way when it was thrown away.
    house.speak(20);
    house.finish();
    assert_eq!(house.files().len(), 2, "the recording's: {:?}", house.files());
    assert!(matches!(Archive::new(house.folder.path().join("messages")).timeline(MESSAGE), Err(ArchiveError::Unknown)));
}

#[test]
fn what_is_announced_as_finished_is_on_the_medium_and_a_slow_medium_keeps_nobody_waiting() {
    let mut house = House::new(Format::Pcm16);
    house.desk.close_by(super::Closer::start(Switched(Arc::clone(&house.switch), Arc::clone(&house.synced))).unwrap());
    house.speak(100);
    assert_eq!(house.synced.load(Ordering::Relaxed), 0);
    house.desk.order(Order::Finish(TAP, house.now.monotonic));
    house.speak(60);
    assert_eq!(house.desk.active(), 0, "the writer has done its part");
    house.desk.wait_for_closing();
    assert_eq!(house.synced.load(Ordering::Relaxed), 2, "the audio, and the folder with its names");
    let news = house.desk.poll_news().unwrap().what;
    assert!(matches!(news, Outcome::Finished { duration_ms: 2_000, .. }), "{news:?}");
    assert_eq!((house.desk.closing(), house.files().len()), (0, 2));
}

#[test]
fn an_opus_recording_is_as_long_as_the_call_and_plays_after_a_kill_at_any_moment() {
    for frames in [60, 333] {
        let mut house = House::formed(Form::OggOpus);
        house.speak(frames);
        let folder = tempfile::tempdir().unwrap();
        for file in house.files() {
            let to = folder.path().join(file.strip_prefix(house.folder.path()).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file, &to).unwrap();
            if file.to_string_lossy().ends_with(".opus.part") {
                // In the middle of a page.
                let whole = std::fs::read(&to).unwrap();
                std::fs::write(&to, &whole[..whole.len() - 7]).unwrap();
            }
        }
        let archive = Archive::new(folder.path().to_owned());
        assert_eq!(archive.recover(false), 1);
        let timeline = archive.timeline(CALL).unwrap();
        assert_eq!((timeline.state, timeline.format.as_str()), (State::Interrupted, "ogg-opus"));
        let lasted = u64::from(frames) * 20;
        assert!(timeline.duration_ms + 1_200 >= lasted, "{} ms of {lasted} ms", timeline.duration_ms);
        assert!(archive.audio(CALL).unwrap().to_string_lossy().ends_with(".opus"));
        let news = house.finish();
        assert!(matches!(news[..], [Outcome::Finished { duration_ms, .. }] if duration_ms == lasted), "{news:?}");
        let bytes = std::fs::read(house.archive().audio(CALL).unwrap()).unwrap();
        let whole = crate::opus::whole(&bytes).unwrap();
        assert_eq!((whole.bytes, whole.samples), (bytes.len() as u64, lasted * 8), "to the sample");
        let archive = house.archive();
        archive.delete(CALL).unwrap();
        assert!(house.files().is_empty());
    }
}

#[test]
fn fault_21_what_the_disk_did_not_take_is_silence_of_equal_length_in_opus_too() {
    let mut house = House::formed(Form::OggOpus);
    house.speak(200);
    house.fails_with(28);
    house.speak(1_000);
    house.fails_with(0);
    house.speak(300);
    let news = house.finish();
    let Outcome::Finished { duration_ms, flaws, .. } = &news[1] else { panic!("{news:?}") };
    assert_eq!((*duration_ms, news.len()), (30_000, 2));
    assert!(flaws.unwritten_ms > 1_000, "{flaws:?}");
    let bytes = std::fs::read(house.archive().audio(CALL).unwrap()).unwrap();
    assert_eq!(crate::opus::whole(&bytes).unwrap().samples, 240_000);
}

#[test]
fn g711_is_kept_bit_by_bit() {
    let mut house = House::new(Format::G711(Codec::Pcma));
    house.speak(100);
    house.finish();
    let bytes = std::fs::read(house.archive().audio(CALL).unwrap()).unwrap();
    let audio = &bytes[wav::header_length(Format::G711(Codec::Pcma))..];
    assert_eq!(audio.len(), 32_000);
    assert!(audio.iter().step_by(2).enumerate().all(|(at, sample)| *sample == word(u32::try_from(at / 160).unwrap())));
}

/// faults.md, row 21: ENOSPC.
#[test]
fn fault_21_a_full_disk_flags_the_recording_and_what_it_did_not_take_is_silence_of_equal_length() {
    const ENOSPC: u8 = 28;
    let mut house = House::new(Format::Pcm16);
    house.speak(200);
    house.fails_with(ENOSPC);
    house.speak(1_000);
    house.fails_with(0);
    house.speak(300);
    let news = house.finish();
    assert!(matches!(&news[0], Outcome::Failed { reason } if reason.contains("No space left")), "{news:?}");
    let Outcome::Finished { duration_ms, flaws, .. } = &news[1] else { panic!("{news:?}") };
    assert_eq!((*duration_ms, news.len()), (30_000, 2));
    assert!(flaws.write_errors > 5 && flaws.unwritten_ms > 1_000, "{flaws:?}");
    let archive = house.archive();
    let whole = whole(&house.left(&archive.audio(CALL).unwrap()));
    let lacking = (0..160).chain(1_250..1_500).find(|n| !whole.contains(n));
    assert_eq!(lacking, None, "what came before and after is in its place");
    let timeline = archive.timeline(CALL).unwrap();
    assert!(!timeline.complete && timeline.gaps.iter().all(|gap| gap.reason == Reason::Disk));
    let missing = 1_500 - whole.len() as u64;
    assert!(timeline.flaws.unwritten_ms.abs_diff(missing * 20) <= 40, "{missing} frames, {:?}", timeline.flaws);
}

#[test]
fn fault_21_a_short_refusal_loses_nothing() {
    const EIO: u8 = 5;
    let mut house = House::new(Format::Pcm16);
    house.speak(200);
    house.fails_with(EIO);
    house.speak(150);
    house.fails_with(0);
    house.speak(150);
    let news = house.finish();
    assert!(matches!(&news[0], Outcome::Failed { .. }));
    assert_eq!(whole(&house.left(&house.archive().audio(CALL).unwrap())).len(), 500, "three seconds waited in memory");
}

#[test]
fn fault_21_a_disk_that_never_works_costs_the_recording_alone() {
    const EIO: u8 = 5;
    let mut house = House::new(Format::Pcm16);
    house.fails_with(EIO);
    house.speak(2_000);
    let news = house.finish();
    assert!(matches!(&news[..], [Outcome::Failed { .. }, Outcome::Finished { .. }]), "{news:?}");
    assert!(house.files().is_empty() && house.desk.errors > 10);
}

/// faults.md: a recording after kill -9 is playable up to the last second; here at every moment of its life.
#[test]
fn killed_at_any_moment_a_recording_plays_up_to_the_last_second() {
    for frames in [1, 24, 25, 26, 60, 99, 333] {
        let mut house = House::new(Format::Pcm16);
        house.speak(frames);
        let folder = tempfile::tempdir().unwrap();
        // What is in files now is what a kill leaves.
        for file in house.files() {
            let to = folder.path().join(file.strip_prefix(house.folder.path()).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file, &to).unwrap();
            if frames > 50 && file.to_string_lossy().ends_with(".wav.part") {
                let plays = whole(&house.left(&to)).len();
                assert!(plays + 50 >= frames as usize, "unrepaired, {plays} of {frames} play");
            }
        }
        let archive = Archive::new(folder.path().to_owned());
        let parts = archive.recover(false);
        assert_eq!(parts, 1, "after {frames} frames");
        let timeline = archive.timeline(CALL).unwrap();
        assert_eq!((timeline.state, timeline.complete), (State::Interrupted, false));
        let plays = whole(&house.left(&archive.audio(CALL).unwrap())).len();
        assert!(plays + 50 >= frames as usize, "{plays} of {frames} play");
        assert_eq!(archive.recover(false), 0, "once is enough");
    }
}

/// faults.md, row 30.
#[test]
fn fault_30_of_a_pause_nothing_is_kept_neither_audio_nor_digits() {
    let mut house = House::new(Format::Pcm16);
    let start = house.now;
    let digit = |house: &mut House, digit: &str| {
        let what =
            serde_json::json!({ "type": "dtmf", "data": { "leg": "caller", "digit": digit, "duration_ms": 100 } });
        house.desk.order(Order::Event { call: CALL.to_owned(), unix: house.now.unix, what: Box::new(what) });
    };
    house.speak(100);
    digit(&mut house, "1");
    house.speak(10);
    house.desk.order(Order::Pause(TAP, house.now.monotonic));
    house.speak(50);
    digit(&mut house, "7");
    house.speak(50);
    house.desk.order(Order::Resume(TAP, house.now.monotonic));
    // Pressed in the pause, let go after it.
    house.speak(2);
    digit(&mut house, "8");
    house.speak(98);
    digit(&mut house, "2");
    let news = house.finish();
    assert!(matches!(news[0], Outcome::Finished { duration_ms: 6_200, paused_ms: 2_000, .. }), "{news:?}");
    let archive = house.archive();
    let whole = whole(&house.left(&archive.audio(CALL).unwrap()));
    assert!(whole.into_iter().eq((0..110).chain(210..310)), "a gap of equal length");
    let timeline = archive.timeline(CALL).unwrap();
    let gaps: Vec<_> = timeline.gaps.iter().map(|gap| (gap.reason, gap.from_ms, gap.to_ms)).collect();
    assert_eq!(gaps, [(Reason::Paused, 2_200, Some(4_200))]);
    let pressed: Vec<_> = timeline.events.iter().map(|event| event.at_ms).collect();
    assert_eq!(pressed, [2_000, 6_200]);
    assert!(!serde_json::to_string(&timeline).unwrap().contains("digit"), "callers type secrets");
    assert!(timeline.complete, "what was left out on purpose is no flaw");
    assert!(start.unix < house.now.unix);
}

/// faults.md, row 30.
#[test]
fn fault_30_deletion_leaves_nothing_and_never_takes_a_recording_that_grows() {
    let mut house = House::new(Format::Pcm16);
    house.speak(100);
    let archive = house.archive();
    assert!(matches!(archive.delete(CALL), Err(ArchiveError::Growing)));
    assert!(matches!(archive.audio(CALL), Err(ArchiveError::Growing)));
    house.finish();
    let folder = archive.audio(CALL).unwrap().parent().unwrap().to_owned();
    std::fs::write(folder.join(format!("{CALL}.json.new")), "half").unwrap();
    archive.delete(CALL).unwrap();
    assert!(house.files().is_empty() && !folder.exists());
    assert!(matches!(archive.delete(CALL), Err(ArchiveError::Unknown)));
    assert!(matches!(archive.timeline("../../etc/passwd"), Err(ArchiveError::Unknown)));
}

#[test]
fn what_is_older_than_its_time_goes() {
    let mut house = House::new(Format::Pcm16);
    house.speak(100);
    house.finish();
    let archive = house.archive();
    let day = Duration::from_secs(86_400);
    assert_eq!(archive.expire(day, SystemTime::now()), 0);
    assert_eq!(archive.expire(day, SystemTime::now() + day * 2), 1);
    assert!(house.files().is_empty());
}
