//! What was written is there, whatever became of who wrote it; and a file that cannot be used is told, never waited for.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic")]

use calls::{AgentPresence, CallId, Callback, CallbackState, Message, Presence, Restored, StoreId, Stored, Time};
use ledger::{EndedCall, Ledger, LedgerError, MessageFilter, News, Reader, Record, Retention, Settings};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

/// Everything is done within this; nothing waits for it to pass.
const SOON: Duration = Duration::from_secs(20);

fn at(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("below/ledger.db")
}

fn settings(path: &Path) -> Settings {
    // What tests write is of 1970.
    let ever = Duration::from_secs(1 << 40);
    let retention = Retention { calls: ever, callbacks: ever, messages: ever, ..Retention::default() };
    Settings { path: path.to_owned(), retention, queue: 10_000 }
}

/// A ledger, what it told, and what was in it.
fn start(settings: Settings) -> (Ledger, Receiver<News>, Result<Restored, LedgerError>) {
    let (tell, told) = sync_channel(100_000);
    let (ledger, restored) = Ledger::start(settings, move |news| drop(tell.send(news))).unwrap();
    (ledger, told, restored)
}

fn until(told: &Receiver<News>, wanted: impl Fn(&News) -> bool) -> News {
    loop {
        let news = told.recv_timeout(SOON).expect("the news did not come");
        if wanted(&news) {
            return news;
        }
    }
}

/// The number `n` as an id.
fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(prefix: &str, n: u64) -> T {
    format!("{prefix}_{n:026}").parse().unwrap()
}

fn callback(n: u64, state: CallbackState) -> Callback {
    Callback {
        id: id("b", n),
        call: id("c", n),
        line: "support".into(),
        ai: "agent".into(),
        list: "sales".into(),
        number: "+493055512345".into(),
        called: "+49800".into(),
        reason: Some("no_answer".into()),
        at: Some("tomorrow, it's \"urgent\"; DROP TABLE callbacks".into()),
        requested: Time(n),
        state,
        agent: None,
        changed: Time(n + 1),
        tries: 2,
        outcome: None,
        tried_in: Some(id("c", n + 1)),
        context: [("name".to_owned(), serde_json::json!({ "first": "Ann" }))].into(),
    }
}

fn message(n: u64) -> Message {
    Message {
        id: id("m", n),
        call: id("c", n),
        line: "support".into(),
        from: None,
        text: format!("message {n}"),
        left: Time(n),
        read: None,
    }
}

fn ended(n: u64) -> EndedCall {
    EndedCall {
        call: id("c", n),
        line: "support".into(),
        setup_ms: n,
        released_ms: n + 5,
        cause: "caller_hung_up".into(),
        record: format!("{{\"n\":{n}}}"),
    }
}

fn stored(n: u64, what: Stored) -> Record {
    Record::Stored(StoreId(n), Box::new(what))
}

#[test]
fn what_was_written_is_there_after_a_restart_the_latest_word_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, told, restored) = start(settings(&at(&folder)));
    assert_eq!(restored.unwrap(), Restored::default());
    let presence = |presence, since| AgentPresence {
        agent: "anna".into(),
        presence: Some(presence),
        skills: None,
        capacity: None,
        since: Time(since),
    };
    let skilled = AgentPresence {
        agent: "ben".into(),
        presence: None,
        skills: Some([("fraud".to_owned(), 8)].into()),
        capacity: Some(3),
        since: Time(3),
    };
    assert!(ledger.write(stored(1, Stored::Callback(callback(1, CallbackState::Open)))));
    assert!(ledger.write(stored(2, Stored::Callback(callback(2, CallbackState::Done)))));
    assert!(ledger.write(stored(3, Stored::Callback(callback(1, CallbackState::Claimed)))));
    assert!(ledger.write(stored(4, Stored::Presence(presence(Presence::Available, 1)))));
    assert!(ledger.write(stored(5, Stored::Presence(presence(Presence::Away, 2)))));
    assert!(ledger.write(stored(6, Stored::Message(message(1)))));
    assert!(ledger.write(stored(7, Stored::Presence(skilled.clone()))));
    assert!(ledger.write(Record::Call(Box::new(ended(1)))));
    let mut written = Vec::new();
    while written.len() < 7 {
        if let News::Written(ids) = told.recv_timeout(SOON).unwrap() {
            written.extend(ids);
        }
    }
    assert_eq!(written, (1..=7).map(StoreId).collect::<Vec<_>>());
    ledger.finish();
    assert!(!ledger.write(Record::Call(Box::new(ended(2)))), "it has ended");
    let counted: Vec<_> = ledger.counts().all().collect();
    assert_eq!(counted, [("call", 1, 0), ("callback", 3, 0), ("message", 1, 0), ("presence", 3, 0)]);
    let (_again, _told, restored) = start(settings(&at(&folder)));
    let restored = restored.unwrap();
    assert_eq!(restored.callbacks, [callback(1, CallbackState::Claimed), callback(2, CallbackState::Done)]);
    assert_eq!(restored.presences, [presence(Presence::Away, 2), skilled]);
    let reader = Reader::open(&at(&folder)).unwrap();
    assert_eq!(reader.call(id("c", 1)).unwrap().as_deref(), Some("{\"n\":1}"));
    assert_eq!(reader.call(id("c", 2)).unwrap(), None);
}

#[test]
fn a_message_is_listed_read_once_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, told, _) = start(settings(&at(&folder)));
    for n in 1..=3 {
        ledger.write(stored(n, Stored::Message(message(n))));
        until(&told, |news| matches!(news, News::Written(_)));
    }
    let reader = Reader::open(&at(&folder)).unwrap();
    let list = |unread, line: Option<&str>, limit| {
        let filter = MessageFilter { line: line.map(str::to_owned), unread, limit };
        reader.messages(&filter).unwrap().into_iter().map(|it| it.left.0).collect::<Vec<_>>()
    };
    assert_eq!(list(false, None, 10), [3, 2, 1]);
    assert_eq!(list(false, Some("support"), 2), [3, 2]);
    assert_eq!(list(false, Some("sales"), 10), [] as [u64; 0]);
    let read = |n, now| reader.read_message(id("m", n), Time(now)).unwrap().map(|it| it.read);
    assert_eq!(read(2, 70), Some(Some(Time(70))));
    assert_eq!(read(2, 80), Some(Some(Time(70))), "it was read before");
    assert_eq!(read(9, 80), None);
    assert_eq!(list(true, None, 10), [3, 1]);
    assert!(reader.delete_message(id("m", 3)).unwrap());
    assert!(!reader.delete_message(id("m", 3)).unwrap());
    assert_eq!(list(false, None, 10), [2, 1]);
}

#[test]
fn what_is_past_its_time_goes_and_open_callbacks_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _told, _) = start(settings(&at(&folder)));
    ledger.write(stored(1, Stored::Callback(callback(1, CallbackState::Open))));
    ledger.write(stored(2, Stored::Callback(callback(2, CallbackState::Done))));
    for n in 0..2_500 {
        ledger.write(Record::Call(Box::new(ended(n))));
        ledger.write(stored(n, Stored::Message(message(n))));
    }
    ledger.finish();
    let ever = Duration::from_secs(1 << 40);
    let retention = Retention {
        calls: ever,
        most_calls: 10,
        callbacks: Duration::from_secs(1),
        messages: Duration::from_secs(1),
        most_messages: 10,
    };
    let (thinned, _told, _) = start(Settings { retention, ..settings(&at(&folder)) });
    let reader = Reader::open(&at(&folder)).unwrap();
    let deadline = Instant::now() + SOON;
    loop {
        let messages = reader.messages(&MessageFilter { limit: 10_000, ..MessageFilter::default() }).unwrap().len();
        let oldest_call = reader.call(id("c", 2_489)).unwrap();
        if messages == 0 && oldest_call.is_none() {
            break;
        }
        assert!(Instant::now() < deadline, "{messages} messages are left");
        std::thread::yield_now();
    }
    assert!(reader.call(id::<CallId>("c", 2_490)).unwrap().is_some(), "the latest ten stay");
    thinned.finish();
    assert_eq!(reader.callbacks().unwrap(), [callback(1, CallbackState::Open)]);
}

#[test]
fn a_queue_that_is_full_refuses_at_once_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, told, _) = start(Settings { queue: 2, ..settings(&at(&folder)) });
    // Somebody else holds the file: the writer waits, the queue fills up.
    let other = rusqlite::Connection::open(at(&folder)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let taken = (0..10_000).filter(|n| ledger.write(stored(*n, Stored::Message(message(*n))))).count();
    assert!(taken < 10_000, "nothing was refused");
    let lost: u64 = ledger.counts().all().map(|(_, _, lost)| lost).sum();
    assert_eq!(lost, 10_000 - taken as u64);
    other.execute_batch("COMMIT").unwrap();
    until(&told, |news| matches!(news, News::Written(_)));
    ledger.finish();
    let filter = MessageFilter { limit: 100_000, ..MessageFilter::default() };
    assert_eq!(Reader::open(&at(&folder)).unwrap().messages(&filter).unwrap().len(), taken, "what was taken is there");
}

#[test]
fn a_damaged_file_is_told_left_alone_and_a_new_one_begun_when_it_is_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let nonsense = "this was a ledger once\n".repeat(500);
    fs::write(&path, &nonsense).unwrap();
    let (ledger, told, restored) = start(settings(&path));
    let error = restored.unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_)), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert!(!ledger.counts().is_up());
    assert!(ledger.write(stored(1, Stored::Message(message(1)))), "it is held");
    assert_eq!(fs::read_to_string(&path).unwrap(), nonsense);
    fs::rename(&path, folder.path().join("damaged.db")).unwrap();
    until(&told, |news| *news == News::Opened(Restored::default()));
    until(&told, |news| *news == News::Written(vec![StoreId(1)]));
    until(&told, |news| *news == News::Working);
    assert!(ledger.counts().is_up());
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, in_the_way) = (at(&folder), folder.path().join("below"));
    fs::write(&in_the_way, "a file where the folder should be").unwrap();
    let (ledger, told, restored) = start(settings(&path));
    assert!(matches!(restored, Err(LedgerError::File(_))), "{restored:?}");
    ledger.write(stored(1, Stored::Message(message(1))));
    fs::remove_file(&in_the_way).unwrap();
    until(&told, |news| *news == News::Written(vec![StoreId(1)]));
}

#[test]
fn a_file_that_is_moved_away_under_our_feet_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, told, _) = start(settings(&at(&folder)));
    ledger.write(stored(1, Stored::Message(message(1))));
    until(&told, |news| *news == News::Written(vec![StoreId(1)]));
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::rename(folder.path().join("below").join(name), folder.path().join(name));
    }
    ledger.write(stored(2, Stored::Message(message(2))));
    until(&told, |news| matches!(news, News::Opened(_)));
    until(&told, |news| *news == News::Written(vec![StoreId(2)]));
    let reader = Reader::open(&at(&folder)).unwrap();
    assert_eq!(reader.message(id("m", 2)).unwrap(), Some(message(2)));
}

#[test]
fn a_newer_file_and_another_programs_are_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    start(settings(&at(&folder))).0.finish();
    rusqlite::Connection::open(at(&folder)).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let (_ledger, _told, restored) = start(settings(&at(&folder)));
    assert!(matches!(restored, Err(LedgerError::Newer { found: 7, .. })), "{restored:?}");
    let theirs = folder.path().join("theirs.db");
    rusqlite::Connection::open(&theirs).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(&theirs).unwrap();
    let (_ledger, _told, restored) = start(settings(&theirs));
    assert!(matches!(restored, Err(LedgerError::Foreign)), "{restored:?}");
    assert_eq!(fs::read(&theirs).unwrap(), before);
}

#[test]
fn an_entry_that_somebody_has_edited_into_nonsense_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _told, _) = start(settings(&at(&folder)));
    ledger.write(stored(1, Stored::Callback(callback(1, CallbackState::Open))));
    ledger.write(stored(2, Stored::Callback(callback(2, CallbackState::Open))));
    ledger.finish();
    let file = rusqlite::Connection::open(at(&folder)).unwrap();
    file.execute("UPDATE callbacks SET state = 'opne' WHERE requested_ms = 1", []).unwrap();
    let (_again, _told, restored) = start(settings(&at(&folder)));
    assert_eq!(restored.unwrap().callbacks, [callback(2, CallbackState::Open)]);
}

/// The marker that makes this test the child of itself: it stands in the folder the child is started in.
const CHILD: &str = "write-until-killed";

/// The test runs itself: the child writes without end and is killed in the middle of it.
#[test]
fn what_was_told_to_be_written_survives_kill_9() {
    if Path::new(CHILD).exists() {
        return write_until_killed();
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(CHILD), "").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["what_was_told_to_be_written_survives_kill_9", "--exact", "--nocapture"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = || {
        let told = fs::read_to_string(folder.path().join("told")).unwrap_or_default();
        told.lines().filter_map(|line| line.parse::<u64>().ok()).max().unwrap_or(0)
    };
    let deadline = Instant::now() + SOON + SOON;
    while told() < 300 {
        assert!(Instant::now() < deadline, "{} were written", told());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let promised = told();
    let (_ledger, _told, restored) = start(settings(&folder.path().join("ledger.db")));
    let there: Vec<u64> = restored.unwrap().callbacks.iter().map(|it| it.requested.0).collect();
    assert!(there.len() as u64 > promised, "{promised} was told to be on the disk, {} are there", there.len());
    assert!(there.iter().enumerate().all(|(at, n)| *n == at as u64), "in the order of writing, without a hole");
}

fn write_until_killed() {
    use std::io::Write as _;
    let mut told = fs::File::create("told").unwrap();
    let tell = move |news| {
        if let News::Written(ids) = news {
            for id in ids {
                writeln!(told, "{}", id.0).unwrap();
            }
        }
    };
    let tell = std::sync::Mutex::new(tell);
    let (ledger, _) =
        Ledger::start(settings(Path::new("ledger.db")), move |news| (tell.lock().unwrap())(news)).unwrap();
    for n in 0.. {
        while !ledger.write(stored(n, Stored::Callback(callback(n, CallbackState::Open)))) {
            std::thread::yield_now();
        }
    }
}
