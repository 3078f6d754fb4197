//! Logs: one line an event, text or JSON, written by a thread of its own so that no call ever waits for a disk or a terminal.
//!
//! From INFO up the numbers and SIP users of people are hidden in every text value, unless `logging.redact` is false. systemd's journal is
//! told the level of each line, so that `journalctl -p warning` finds what an operator must see, and is not told the time, which it knows.

use super::outbox::Outbox;
use crate::config::{Format, Logging};
use std::{
    fmt::{self, Write as _},
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, SystemTime},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Registry,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

/// Bytes that may wait for the writer; beyond them lines are dropped and counted.
const BOUND: usize = 4 << 20;
/// Lines are gathered this long: at most fifty writes a second.
const LINGER: Duration = Duration::from_millis(20);

/// Ends the writer when dropped, after everything that waits was written.
pub(crate) struct Logs {
    outbox: Arc<Outbox<u8>>,
    writer: Option<JoinHandle<()>>,
}

/// Starts logging for the whole process, to standard error.
pub(crate) fn start(logging: &Logging) -> anyhow::Result<Logs> {
    let outbox = Arc::new(Outbox::new(BOUND, LINGER));
    let (format, journal) = (logging.format, is_journal());
    let queue = Arc::clone(&outbox);
    let writer =
        std::thread::Builder::new().name("logs".to_owned()).spawn(move || write_all(&queue, format, journal))?;
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Lines { format, redact: logging.redact, journal })
        .with_writer(Into(Arc::clone(&outbox)));
    let subscriber = Registry::default().with(LevelFilter::from_level(logging.level)).with(layer);
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(Logs { outbox, writer: Some(writer) })
}

/// Whether standard error leads to the journal: it may have been inherited from who did, and lead elsewhere (systemd.exec(5)).
fn is_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let stderr = fs::metadata("/proc/self/fd/2").ok();
    stream.zip(stderr).is_some_and(|(stream, stderr)| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// The level as the journal reads it at the beginning of a line (sd-daemon(3)).
const fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.outbox.close();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write_all(outbox: &Outbox<u8>, format: Format, journal: bool) {
    loop {
        let mut batch = outbox.take();
        if batch.refused > 0 {
            let line = match format {
                Format::Text => format!("WARN {} log lines were dropped at overload\n", batch.refused),
                Format::Json => {
                    format!(
                        "{{\"level\":\"WARN\",\"message\":\"log lines were dropped at overload\",\"lines\":{}}}\n",
                        batch.refused
                    )
                }
            };
            if journal {
                batch.items.extend_from_slice(priority(Level::WARN).as_bytes());
            }
            batch.items.extend_from_slice(line.as_bytes());
        }
        // Nobody is left to tell when standard error is gone.
        let _ = io::stderr().lock().write_all(&batch.items);
        if batch.last {
            return;
        }
    }
}

#[derive(Clone)]
struct Into(Arc<Outbox<u8>>);

impl<'a> MakeWriter<'a> for Into {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Outbox<u8>);

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes.iter().copied(), bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Lines {
    format: Format,
    redact: bool,
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        let redact = self.redact && level <= Level::INFO;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if self.journal {
            writer.write_str(priority(level))?;
        }
        match self.format {
            Format::Text => {
                if !self.journal {
                    write_time(&mut writer, now)?;
                    writer.write_char(' ')?;
                }
                write!(writer, "{:5}", level.as_str())?;
                if level > Level::INFO {
                    write!(writer, " {}:", event.metadata().target())?;
                }
                let mut line = Text { call: String::new(), message: String::new(), rest: String::new(), redact };
                event.record(&mut line);
                for part in [&line.call, &line.message, &line.rest] {
                    if !part.is_empty() {
                        writer.write_char(' ')?;
                        writer.write_str(part)?;
                    }
                }
                writer.write_char('\n')
            }
            Format::Json => {
                writer.write_str("{\"time\":\"")?;
                write_time(&mut writer, now)?;
                write!(writer, "\",\"level\":\"{}\",\"target\":\"{}\"", level.as_str(), event.metadata().target())?;
                let mut fields = Json { out: String::new(), redact };
                event.record(&mut fields);
                writer.write_str(&fields.out)?;
                writer.write_str("}\n")
            }
        }
    }
}

/// `call=… message key=value …`: the call first, so that one call reads as one story.
struct Text {
    call: String,
    message: String,
    rest: String,
    redact: bool,
}

impl Text {
    fn put(&mut self, name: &str, value: &str, quote: bool) {
        let value = shown(name, value, self.redact);
        match name {
            "message" => self.message.push_str(&value),
            "call" => {
                let _ = write!(self.call, "call={value}");
            }
            _ => {
                let space = if self.rest.is_empty() { "" } else { " " };
                let quoted = quote && value.contains([' ', '"']);
                let _ = match quoted {
                    true => write!(self.rest, "{space}{name}={value:?}"),
                    false => write!(self.rest, "{space}{name}={value}"),
                };
            }
        }
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value, true);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), &format!("{value:?}"), false);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let space = if self.rest.is_empty() { "" } else { " " };
        let _ = write!(self.rest, "{space}{}={value}", field.name());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let space = if self.rest.is_empty() { "" } else { " " };
        let _ = write!(self.rest, "{space}{}={value}", field.name());
    }
}

struct Json {
    out: String,
    redact: bool,
}

impl Json {
    fn put(&mut self, name: &str, value: &str) {
        let value = shown(name, value, self.redact);
        let text = serde_json::to_string(&*value).unwrap_or_default();
        let _ = write!(self.out, ",\"{name}\":{text}");
    }
}

impl Visit for Json {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), &format!("{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let _ = write!(self.out, ",\"{}\":{value}", field.name());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let _ = write!(self.out, ",\"{}\":{value}", field.name());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let _ = write!(self.out, ",\"{}\":{value}", field.name());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            let _ = write!(self.out, ",\"{}\":{value}", field.name());
        }
    }
}

/// A value as it may be shown: nothing that steers a terminal or turns its text around, and no people when redacting.
fn shown<'a>(name: &str, value: &'a str, redact: bool) -> std::borrow::Cow<'a, str> {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut text = std::borrow::Cow::Borrowed(value);
    if value.chars().any(steers) {
        text = text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect::<String>().into();
    }
    if redact {
        match redacted(&text) {
            Some(hidden) => text = hidden.into(),
            // A caller who is no number is a name.
            None if name == "from" && text != "anonymous" => text = "…".into(),
            None => {}
        }
    }
    text
}

/// `text` without people: `sip:…@host`, `+49…67`. `None` when there is nobody in it.
pub(crate) fn redacted(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out: Option<String> = None;
    let mut kept = 0;
    let mut at = 0;
    while at < bytes.len() {
        let fresh = at == 0 || !bytes[at - 1].is_ascii_alphanumeric() && !matches!(bytes[at - 1], b'_' | b'.' | b'-');
        if !fresh {
            at += 1;
            continue;
        }
        if let Some((start, end)) = user_part(text, at) {
            let out = out.get_or_insert_default();
            out.push_str(&text[kept..start]);
            out.push('…');
            (kept, at) = (end, end);
            continue;
        }
        let digits_from = at + usize::from(bytes[at] == b'+');
        let digits = bytes[digits_from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let end = digits_from + digits;
        let closed = bytes.get(end).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_');
        let plus = digits_from > at;
        if closed && (plus && digits >= 5 || !plus && digits >= 7) {
            let out = out.get_or_insert_default();
            out.push_str(&text[kept..at + if plus { 3 } else { 2 }]);
            out.push('…');
            (kept, at) = (end - 2, end);
            continue;
        }
        at = (at + 1).max(end.min(at + 1));
    }
    let mut out = out?;
    out.push_str(&text[kept..]);
    Some(out)
}

/// The user of a SIP URI that starts at `at`.
fn user_part(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text.as_bytes()[at..];
    let scheme = if rest.starts_with(b"sips:") {
        5
    } else if rest.starts_with(b"sip:") {
        4
    } else {
        return None;
    };
    let stop = rest[scheme..].iter().position(|b| matches!(b, b'@' | b' ' | b'>' | b'"' | b',' | b'<'))?;
    (rest[scheme + stop] == b'@' && stop > 0).then_some((at + scheme, at + scheme + stop))
}

/// `2026-11-23T07:12:52.123456Z`.
fn write_time(out: &mut Writer<'_>, since_epoch: Duration) -> fmt::Result {
    let seconds = since_epoch.as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        since_epoch.subsec_micros()
    )
}

/// Year, month and day of a day since 1970-01-01 in the proleptic Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that a leap day is the last of its year.
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_hidden_and_machines_are_not() {
        let hidden = |text: &str| redacted(text).unwrap_or_else(|| text.to_owned());
        assert_eq!(hidden("sip:anna@pbx.example.net;x=1"), "sip:…@pbx.example.net;x=1");
        assert_eq!(hidden("<sip:+49301234567@192.0.2.1:5060>"), "<sip:…@192.0.2.1:5060>");
        assert_eq!(hidden("tel:+49301234567"), "tel:+49…67");
        assert_eq!(hidden("\"+49301234567\" -> 0301234567"), "\"+49…67\" -> 03…67");
        for plain in
            ["c_01JDC4Q7YV1234567890ABCDEF", "127.0.0.1:20000", "sip:127.0.0.1:5060", "1.5 s", "t1=500ms", "+1"]
        {
            assert_eq!(hidden(plain), plain);
        }
    }

    /// `from=anna.smith`: a caller who is no number stood in the log by name.
    #[test]
    fn a_caller_who_is_a_name_is_hidden_too() {
        assert_eq!(shown("from", "anna.smith", true), "…");
        assert_eq!(shown("from", "+49301234567", true), "+49…67");
        assert_eq!(shown("from", "anonymous", true), "anonymous");
        assert_eq!(shown("from", "anna.smith", false), "anna.smith");
        assert_eq!(shown("line", "support", true), "support");
    }

    #[test]
    fn terminal_escapes_do_not_reach_the_terminal() {
        assert_eq!(shown("x", "a\u{1b}[31mb\nc", false), "a\u{fffd}[31mb\u{fffd}c");
        assert_eq!(shown("x", "gpj.\u{202e}exe", false), "gpj.\u{fffd}exe", "nor is its text turned around");
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_780), (2026, 11, 23));
    }
}
