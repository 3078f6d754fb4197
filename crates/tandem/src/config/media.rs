//! Section `media`.

use super::{
    people,
    reader::{Section, Wrong, number},
    sections::Places,
    srtp,
    types::{Codec, Sip},
    values,
};
use media_relay::{Begin, Detection, Order};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

/// Section `media`.
#[derive(Clone, Debug)]
pub struct Media {
    /// The address of every RTP socket.
    pub address: IpAddr,
    /// What SDP says instead.
    pub external_address: Option<IpAddr>,
    /// First and last port.
    pub ports: (u16, u16),
    /// In order of preference.
    pub codecs: Vec<Codec>,
    /// WAV files by name.
    pub prompts: PathBuf,
    /// WAV files by name, called `music/NAME`.
    pub music: PathBuf,
    /// Threads that carry audio.
    pub workers: usize,
    /// How long a closed port rests.
    pub quarantine: Duration,
    /// A caller or human that never sent a packet is dead after this long.
    pub dead_before_first: Duration,
    /// A caller or human that stopped sending is dead after this long.
    pub dead_after: Duration,
    /// A party that holds us is dead after this long.
    pub dead_on_hold: Duration,
    /// Whether the media's source of a human who was dialled without a trunk is learned from their packets.
    pub learn: bool,
    /// Whether media is encrypted where nothing else says so.
    pub srtp: sdp::Srtp,
    /// How, the best first.
    pub srtp_suites: Vec<sdp::CryptoSuite>,
    /// Whether RTP and RTCP may share a port.
    pub rtcp_mux: bool,
    /// Whether digits of a peer without telephone-event are looked for in its audio, and sent to it as tones.
    pub in_band_digits: bool,
    /// The country, by its ISO 3166 code, whose ringing tone callers hear.
    pub ringback: String,
    /// What a waiting caller hears where the rules name nothing.
    pub hold_music: String,
    /// What a caller is told before the music when the AI is lost.
    pub ai_lost: Option<String>,
    /// The level prompts are brought to, in dBov; none: they are played as they are.
    pub prompt_level: Option<f64>,
    /// The same of music.
    pub music_level: Option<f64>,
    /// How machines are told from people.
    pub detection: Detection,
    /// Music of several files.
    pub playlists: Vec<Playlist>,
}

/// Several files under one name, played wherever a name of music is.
#[derive(Clone, Debug)]
pub struct Playlist {
    /// Its name.
    pub name: String,
    /// What it plays.
    pub tracks: Tracks,
    /// What follows what.
    pub order: Order,
    /// Where a caller begins.
    pub begin: Begin,
    /// Whether a caller who waits again hears it go on.
    pub goes_on: bool,
    /// How long it takes to its full loudness.
    pub fade_in: Duration,
}

/// What a playlist plays.
#[derive(Clone, Debug)]
pub enum Tracks {
    /// These.
    Clips(Vec<String>),
    /// The files of a folder by name, called `NAME/STEM`.
    Folder(PathBuf),
}

/// A list of codecs, where there is one.
pub(super) fn codecs(section: &mut Section<'_>) -> Option<Vec<Codec>> {
    let words = [
        ("pcma", Codec::Pcma),
        ("pcmu", Codec::Pcmu),
        ("g722", Codec::G722),
        ("opus", Codec::Opus),
        ("l16-8k", Codec::L16At8k),
        ("l16-16k", Codec::L16At16k),
    ];
    let list = section.list("codecs", |text| match text {
        "g729" | "amr" | "amr-wb" | "ilbc" | "speex" => {
            Err(Wrong::new(format!("the codec `{text}` is not built")).help("pcma, pcmu, g722, opus, l16-8k, l16-16k"))
        }
        _ => super::reader::word(text, &words),
    })?;
    if section.is_empty_list("codecs") {
        section.wrong(None, "`codecs` names no codec", Some("like `[pcma, pcmu]`"));
    }
    let mut unique: Vec<Codec> = Vec::new();
    for placed in list {
        if unique.contains(&placed.value) {
            section.wrong(placed.place, "this codec is listed twice", None);
        } else {
            unique.push(placed.value);
        }
    }
    Some(unique)
}

pub(super) fn media(mut section: Section<'_>, sip: &Sip, places: &Places) -> Media {
    section.later(&["jitter_buffer"]);
    let first = sip.listeners.first().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |listener| listener.address.ip());
    let address = section.optional("address", values::ip);
    let external = section.optional("external_address", values::ip);
    let bound = address.as_ref().map_or(first, |placed| placed.value);
    let external_address = external.as_ref().map(|placed| placed.value).or(sip.external_address);
    if bound.is_unspecified() && external_address.is_none() {
        section.wrong(
            address.and_then(|placed| placed.place),
            format!("`{bound}` tells no peer where to send audio"),
            Some("name the machine's address in `media.address`, or what peers see in `media.external_address`"),
        );
    }
    let ports = section.optional("ports", ports);
    let ports = ports.map_or((20_000, 29_999), |placed| placed.value);
    let codecs = codecs(&mut section).unwrap_or_else(|| vec![Codec::Pcma, Codec::Pcmu]);
    let prompts = section.or("prompts", places.of("prompts"), |text| Ok(places.of(text)));
    let music = section.or("music", places.of("music"), |text| Ok(places.of(text)));
    let workers = section.number("workers", 1, 1..=64);
    let quarantine = section.duration("quarantine", SECOND * 10, Duration::ZERO..=SECOND * 600);
    let dead_before_first = section.duration("dead_before_first", SECOND * 30, SECOND * 2..=SECOND * 600);
    let dead_after = section.duration("dead_after", SECOND * 15, SECOND * 2..=SECOND * 600);
    let dead_on_hold = section.duration("dead_on_hold", SECOND * 1800, SECOND * 10..=SECOND * 86_400);
    let learn = people::nat(&mut section);
    let srtp = srtp::policy(&mut section).unwrap_or_default();
    let srtp_suites = srtp::suites(&mut section);
    let rtcp_mux = section.flag("rtcp_mux", true);
    let in_band_digits = section.word("dtmf", true, &[("auto", true), ("events", false)]);
    let ringback = section.or("ringback", "de".to_owned(), country);
    let hold_music = section.or("hold_music", "music/default".to_owned(), values::clip);
    let ai_lost = section.optional("ai_lost_announcement", values::clip).map(|placed| placed.value);
    let prompt_level = level(&mut section, "prompt_level", -20.0);
    let music_level = level(&mut section, "music_level", -22.0);
    let detection = detection(section.section("detection"));
    let playlists =
        section.sections("playlists").into_iter().map(|(name, list)| playlist(name, list, places)).collect();
    section.done();
    Media {
        address: bound,
        external_address,
        ports,
        codecs,
        prompts,
        music,
        workers: usize::try_from(workers).unwrap_or(1),
        quarantine,
        dead_before_first,
        dead_after,
        dead_on_hold,
        learn,
        srtp,
        srtp_suites,
        rtcp_mux,
        in_band_digits,
        ringback,
        hold_music,
        ai_lost,
        prompt_level,
        music_level,
        detection,
        playlists,
    }
}

fn detection(mut section: Section<'_>) -> Detection {
    let (default, ms) = (Detection::default(), Duration::from_millis);
    let initial_silence = section.duration("initial_silence", default.initial_silence, ms(1_000)..=ms(10_000));
    let longest_greeting = section.duration("longest_greeting", default.longest_greeting, ms(500)..=ms(10_000));
    let silence_after = section.duration("silence_after", default.silence_after, ms(300)..=ms(3_000));
    let most_words = section.number("most_words", default.most_words.into(), 1..=50);
    let within = section.duration("within", default.within, ms(2_000)..=ms(15_000));
    let least = longest_greeting.max(initial_silence);
    if within < least {
        let help = "no shorter than `initial_silence` and `longest_greeting`";
        section.wrong(section.place(), "`within` is over before anything can be told", Some(help));
    }
    section.done();
    Detection {
        initial_silence,
        longest_greeting,
        silence_after,
        most_words: u32::try_from(most_words).unwrap_or(u32::MAX),
        within,
    }
}

/// A level in dBov, or none where files are played as they are.
fn level(section: &mut Section<'_>, key: &'static str, default: f64) -> Option<f64> {
    section.or(key, Some(default), |text| {
        if text == "off" {
            return Ok(None);
        }
        let wrong = || Wrong::new(format!("`{text}` is no level")).help("-40 to -10 (dBov), or `off`");
        let level: f64 = text.parse().map_err(|_| wrong())?;
        if (-40.0..=-10.0).contains(&level) { Ok(Some(level)) } else { Err(wrong()) }
    })
}

fn playlist(name: String, mut section: Section<'_>, places: &Places) -> Playlist {
    if let Err(wrong) = values::clip(&name) {
        section.note(section.place(), wrong);
    }
    let clips = section.list("clips", values::clip).map(|list| list.into_iter().map(|placed| placed.value).collect());
    let folder = section.optional("folder", |text| Ok(places.of(text))).map(|placed| placed.value);
    let tracks = match (clips, folder) {
        (None, Some(folder)) => Tracks::Folder(folder),
        (Some(clips), None) => Tracks::Clips(clips),
        (clips, _) => {
            let help = Some("`clips: [music/default, …]` or `folder: PATH`, one of the two");
            section.wrong(None, format!("what does `{name}` play?"), help);
            Tracks::Clips(clips.unwrap_or_default())
        }
    };
    if matches!(&tracks, Tracks::Clips(clips) if clips.is_empty()) && section.is_empty_list("clips") {
        section.wrong(None, format!("`{name}` plays nothing"), Some("like `clips: [music/default]`"));
    }
    let order = section.word("order", Order::AsListed, &[("listed", Order::AsListed), ("shuffled", Order::Shuffled)]);
    let begin = section.word("begin", Begin::First, &[("first", Begin::First), ("anywhere", Begin::Anywhere)]);
    let goes_on = section.word("again", true, &[("go_on", true), ("begin", false)]);
    let fade_in = section.duration("fade_in", Duration::from_millis(200), Duration::ZERO..=SECOND * 5);
    section.done();
    Playlist { name, tracks, order, begin, goes_on, fade_in }
}

fn country(text: &str) -> Result<String, Wrong> {
    if media_relay::countries().any(|known| known == text) {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = media_relay::countries().collect();
    Err(Wrong::new(format!("`{text}` is no country whose ringing tone is known"))
        .help(format!("one of {}", known.join(", "))))
}

fn ports(text: &str) -> Result<(u16, u16), Wrong> {
    let wrong = || Wrong::new(format!("`{text}` is not a range of ports")).help("like `20000-29999`");
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let first = number::<u16>(first.trim(), &(1024..=65_535)).map_err(|_| wrong())?;
    let last = number::<u16>(last.trim(), &(1024..=65_535)).map_err(|_| wrong())?;
    if last < first {
        return Err(Wrong::new(format!("`{text}` ends before it begins")).help(format!("like `{last}-{first}`")));
    }
    if first % 2 == 1 {
        return Err(Wrong::new(format!("`{first}` is odd; RTP takes even ports, RTCP the next"))
            .help(format!("start at {}", first.saturating_add(1))));
    }
    if last < first.saturating_add(7) {
        return Err(
            Wrong::new(format!("`{text}` holds fewer than four pairs of ports")).help("a call takes up to three")
        );
    }
    Ok((first, last))
}
