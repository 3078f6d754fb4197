//! Section `recording`.

use super::{
    reader::{Section, Wrong},
    sections::Places,
    types::{ConsentPrompt, Recording, RecordingChannels, RecordingFormat, RecordingWhen},
    values,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn recording(mut section: Section<'_>, places: &Places) -> Recording {
    section.later(&["encryption", "upload"]);
    let words = [
        ("never", RecordingWhen::Never),
        ("answer", RecordingWhen::Answer),
        ("consent", RecordingWhen::Consent),
        ("rule", RecordingWhen::Rule),
    ];
    let when = section.word("when", RecordingWhen::Never, &words);
    let lines = section.list("lines", values::name).unwrap_or_default();
    let directory = section.or("directory", places.recordings.clone(), |text| Ok(places.of(text)));
    let words = [
        ("wav-pcm16", RecordingFormat::WavPcm16),
        ("wav-pcma", RecordingFormat::WavPcma),
        ("wav-pcmu", RecordingFormat::WavPcmu),
        ("ogg-opus", RecordingFormat::OggOpus),
    ];
    let format = section.word("format", RecordingFormat::WavPcm16, &words);
    let words = [("stereo", RecordingChannels::Stereo), ("parties", RecordingChannels::Parties)];
    let channels = section.word("channels", RecordingChannels::Stereo, &words);
    let whisper = section.word("whisper", false, &[("leave_out", false), ("own_channel", true)]);
    let pause = section.duration("pause", SECOND * 300, SECOND..=SECOND * 3_600);
    let retention = section.duration("retention", Duration::ZERO, Duration::ZERO..=SECOND * 3_600 * 24 * 3_660);
    let consent = consent(&mut section, when);
    section.done();
    Recording {
        when,
        consent,
        lines: lines.into_iter().map(|placed| placed.value).collect(),
        directory,
        format,
        channels,
        whisper,
        pause,
        retention,
    }
}

fn consent(section: &mut Section<'_>, when: RecordingWhen) -> Option<ConsentPrompt> {
    let mut asked = section.section("consent");
    if !asked.is_present() {
        return None;
    }
    let prompt = asked.required("prompt", values::clip).map(|placed| placed.value);
    let key = |text: &str| {
        let mut keys = text.chars();
        match (keys.next().map(|key| key.to_ascii_uppercase()), keys.next()) {
            (Some(key @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => Ok(key),
            _ => Err(Wrong::new(format!("`{text}` is no key of a telephone")).help("one of 0 to 9, `*`, `#`, A to D")),
        }
    };
    let (yes, no) = (asked.optional("yes", key), asked.optional("no", key));
    if let (Some(yes), Some(no)) = (&yes, &no)
        && yes.value == no.value
    {
        asked.wrong(no.place, "one key says both yes and no", None);
    }
    let wait = asked.duration("wait", SECOND * 5, SECOND..=SECOND * 30);
    if when != RecordingWhen::Consent {
        asked.wrong(None, "nobody is asked unless `recording.when` is `consent`", Some("write `when: consent`"));
    }
    asked.done();
    Some(ConsentPrompt { prompt: prompt?, yes: yes.map(|it| it.value), no: no.map(|it| it.value), wait })
}
