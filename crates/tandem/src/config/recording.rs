//! Section `recording`.

use super::{
    reader::{Section, Wrong},
    sections::Places,
    values,
};
use recorder::io::{Recipient, RecipientError, Recipients};
use std::{path::PathBuf, time::Duration};

/// Public keys of those who may open recordings, at the most.
const MOST_RECIPIENTS: usize = 16;
const SECOND: Duration = Duration::from_secs(1);

/// Section `recording`.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Which calls, and from when on.
    pub when: RecordingWhen,
    /// How callers are asked.
    pub consent: Option<ConsentPrompt>,
    /// Of which lines; empty: of all.
    pub lines: Vec<String>,
    /// Where.
    pub directory: PathBuf,
    /// In which form.
    pub format: RecordingFormat,
    /// What goes to which channel.
    pub channels: RecordingChannels,
    /// Whether whispers have a channel of their own.
    pub whisper: bool,
    /// How long a pause lasts that does not say.
    pub pause: Duration,
    /// How long recordings are kept; zero: for ever.
    pub retention: Duration,
    /// Who can open recordings and messages; nobody is named: they are not encrypted.
    pub encrypt_to: Recipients,
    /// Where recordings and messages are uploaded to.
    pub upload: Option<super::upload::Upload>,
}

/// From when on calls are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingWhen {
    /// Not at all.
    Never,
    /// From the caller's answer.
    Answer,
    /// From the event `consent`.
    Consent,
    /// Where a rule says so.
    Rule,
}

/// How callers are asked whether they agree to be recorded.
#[derive(Clone, Debug)]
pub struct ConsentPrompt {
    /// What they are asked by.
    pub prompt: String,
    /// The key that agrees.
    pub yes: Option<char>,
    /// The key that refuses.
    pub no: Option<char>,
    /// How long they may think after the prompt.
    pub wait: Duration,
}

/// In which form recordings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingFormat {
    /// WAV of 16-bit linear samples.
    WavPcm16,
    /// WAV of G.711 A-law.
    WavPcma,
    /// WAV of G.711 mu-law.
    WavPcmu,
    /// Ogg Opus.
    OggOpus,
}

/// What goes to which channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingChannels {
    /// The caller, and what the caller hears.
    Stereo,
    /// One a party.
    Parties,
}

pub(super) fn recording(mut section: Section<'_>, places: &Places, routes: &[super::Route]) -> Recording {
    let words = [
        ("never", RecordingWhen::Never),
        ("answer", RecordingWhen::Answer),
        ("consent", RecordingWhen::Consent),
        ("rule", RecordingWhen::Rule),
    ];
    let when = section.word("when", RecordingWhen::Never, &words);
    // A line that no route leads to would leave every call unrecorded, and nobody would know.
    let lines = routes.iter().map(|route| route.line.as_str());
    let line = |text: &str| super::outbound::one_of(text, lines.clone(), "line", "lines are named by `routes`");
    let lines = section.list("lines", line).unwrap_or_default();
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
    let encrypt_to = encrypt_to(&mut section);
    let upload = super::upload::upload(section.section("upload"), places);
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
        encrypt_to,
        upload,
    }
}

fn encrypt_to(section: &mut Section<'_>) -> Recipients {
    if section.is_empty_list("encrypt_to") {
        let help = "name the public keys that may open recordings, or leave `encrypt_to` away";
        section.wrong(None, "`recording.encrypt_to` is empty: nothing would be encrypted", Some(help));
    }
    let placed = section.list("encrypt_to", recipient).unwrap_or_default();
    for (at, one) in placed.iter().enumerate() {
        let known = placed[..at].iter().any(|other| other.value.to_string() == one.value.to_string());
        if known {
            section.wrong(one.place, format!("`recording.encrypt_to` names `{}` twice", one.value), None);
        }
    }
    if let Some(beyond) = placed.get(MOST_RECIPIENTS) {
        section.wrong(
            beyond.place,
            format!("`recording.encrypt_to` names {} keys", placed.len()),
            Some("16 at the most"),
        );
    }
    Recipients::new(placed.into_iter().map(|placed| placed.value).collect())
}

/// A public key of age. What is wrong with one never repeats it: it may be a secret.
fn recipient(text: &str) -> Result<Recipient, Wrong> {
    text.parse().map_err(|error: RecipientError| {
        let help = match error {
            RecipientError::Private => {
                "write the public key that belongs to it (`age-keygen -y KEYFILE` prints it); whoever has read the private one may have \
                 it now: make a new pair with `age-keygen`"
            }
            RecipientError::Kind => "an X25519 key, as `age-keygen` makes it: `age1` and 58 letters and digits",
            RecipientError::NoKey => "`age1` and 58 letters and digits, as `age-keygen` prints it after `Public key:`",
            RecipientError::Damaged => "copy all 62 characters again, as `age-keygen` prints them after `Public key:`",
        };
        Wrong::new(error.to_string()).help(help)
    })
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
