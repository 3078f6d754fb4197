//! Section `recording`.

use super::{
    reader::Section,
    sections::Places,
    types::{Recording, RecordingChannels, RecordingFormat, RecordingWhen},
    values,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn recording(mut section: Section<'_>, places: &Places) -> Recording {
    section.later(&["encryption", "upload", "consent_prompt"]);
    let words =
        [("never", RecordingWhen::Never), ("answer", RecordingWhen::Answer), ("consent", RecordingWhen::Consent)];
    let when = section.word("when", RecordingWhen::Never, &words);
    let lines = section.list("lines", values::name).unwrap_or_default();
    let directory = section.or("directory", places.recordings.clone(), |text| Ok(places.of(text)));
    let words = [
        ("wav-pcm16", RecordingFormat::WavPcm16),
        ("wav-pcma", RecordingFormat::WavPcma),
        ("wav-pcmu", RecordingFormat::WavPcmu),
    ];
    let format = section.word("format", RecordingFormat::WavPcm16, &words);
    let words = [("stereo", RecordingChannels::Stereo), ("parties", RecordingChannels::Parties)];
    let channels = section.word("channels", RecordingChannels::Stereo, &words);
    let whisper = section.word("whisper", false, &[("leave_out", false), ("own_channel", true)]);
    let pause = section.duration("pause", SECOND * 300, SECOND..=SECOND * 3_600);
    let retention = section.duration("retention", Duration::ZERO, Duration::ZERO..=SECOND * 3_600 * 24 * 3_660);
    section.done();
    Recording {
        when,
        lines: lines.into_iter().map(|placed| placed.value).collect(),
        directory,
        format,
        channels,
        whisper,
        pause,
        retention,
    }
}
