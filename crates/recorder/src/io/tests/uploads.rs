//! The marks of recordings that are to be uploaded.

use super::*;

const FORM: Form = Form::Wav(Format::Pcm16);

#[test]
fn a_recording_waits_for_its_upload_from_before_it_is_announced_until_it_has_arrived() {
    let mut house = House::uploading(FORM);
    house.speak(100);
    let archive = house.archive();
    assert_eq!(archive.waiting().len(), 0, "while it grows");
    house.finish();
    let waiting: Vec<_> = archive.waiting().into_iter().map(|(id, _)| id).collect();
    assert_eq!(waiting, [CALL]);
    let spool = archive.spool(CALL).unwrap();
    let names: Vec<_> = spool.files.iter().filter_map(|file| file.extension()?.to_str()).collect();
    assert_eq!((names, spool.day.as_str(), spool.line.as_str()), (vec!["wav", "json"], "2026-11-18", "support"));
    assert_eq!(archive.upload(CALL), Some(serde_json::json!({ "waiting": true })));
    spool.note("so far").unwrap();
    assert_eq!(archive.spool(CALL).unwrap().noted(), b"so far");
    spool.finish("{\"to\":\"elsewhere\"}", true).unwrap();
    assert_eq!(archive.waiting().len(), 0);
    assert_eq!(archive.upload(CALL), Some(serde_json::json!({ "to": "elsewhere" })));
    let day = Duration::from_secs(86_400);
    assert_eq!(archive.drop_uploaded(day, SystemTime::now()), 0);
    assert!(archive.audio(CALL).is_ok());
    assert_eq!(archive.drop_uploaded(day, SystemTime::now() + day * 2), 1);
    assert!(matches!(archive.audio(CALL), Err(ArchiveError::Unknown)) && archive.timeline(CALL).is_ok());
    archive.delete(CALL).unwrap();
    assert!(house.files().is_empty(), "{:?}", house.files());
}

#[test]
fn what_was_killed_waits_for_its_upload_too_and_what_is_not_to_be_uploaded_never() {
    for (upload, waits) in [(true, 1), (false, 0)] {
        let mut house = House::formed(FORM);
        house.speak(100);
        let archive = house.archive();
        assert_eq!(archive.recover(upload), 1);
        assert_eq!(archive.waiting().len(), waits);
    }
    let mut house = House::formed(FORM);
    house.speak(100);
    house.finish();
    assert!(house.archive().waiting().is_empty() && house.archive().upload(CALL).is_none());
}

#[test]
fn fault_30_of_what_is_deleted_while_it_is_uploaded_nothing_comes_back() {
    let mut house = House::uploading(FORM);
    house.speak(100);
    house.finish();
    let archive = house.archive();
    let spool = archive.spool(CALL).unwrap();
    archive.delete(CALL).unwrap();
    for done in [spool.note("{}"), spool.finish("{}", true)] {
        assert_eq!(done.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
    assert!(house.files().is_empty(), "{:?}", house.files());
}
