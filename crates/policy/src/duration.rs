//! Durations as people write them: `250ms`, `20s`, `5m`, `2h`.

use core::time::Duration;

/// The longest duration a file or request may name.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads `250ms`, `20s`, `5m` or `2h`; the error says what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(suggestion(number, unit)),
    };
    let value: u64 = number.parse().map_err(|_| suggestion(number, unit))?;
    let duration = value.checked_mul(scale).map(Duration::from_millis);
    duration.filter(|it| *it <= LONGEST).ok_or_else(|| "at most 168h".to_owned())
}

fn suggestion(number: &str, unit: &str) -> String {
    let short = number.len() <= 6 && !number.is_empty();
    let meant = match unit.trim().to_ascii_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" | "s" => "s",
        "min" | "mins" | "minute" | "minutes" | "m" => "m",
        "hour" | "hours" | "hr" | "hrs" | "h" => "h",
        "msec" | "millis" | "milliseconds" | "ms" => "ms",
        "" if short => return format!("a duration has a unit: `{number}s` or `{number}ms`?"),
        _ => return "write a whole number and its unit: `250ms`, `20s`, `5m` or `2h`".to_owned(),
    };
    if short { format!("did you mean `{number}{meant}`?") } else { format!("write `20{meant}`") }
}

/// The shortest exact way to write it: `95s`, `5m`, `1.5s` becomes `1500ms`.
pub fn text(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

/// For `#[serde(with)]` on a `Duration`.
pub mod as_text {
    use core::time::Duration;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Writes `20s`.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text(*duration))
    }

    /// Reads `20s`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse(&text).map_err(|help| D::Error::custom(format!("`{text}` is not a duration: {help}")))
    }

    /// The same for an optional one.
    pub mod option {
        use core::time::Duration;
        use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

        /// Writes `20s`, or nothing.
        pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => serializer.serialize_some(&super::super::text(*duration)),
                None => serializer.serialize_none(),
            }
        }

        /// Reads `20s`, or nothing.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
            let read = super::super::parse(&text);
            read.map(Some).map_err(|help| D::Error::custom(format!("`{text}` is not a duration: {help}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_units_and_nothing_else() {
        for (written, ms) in [("250ms", 250), ("20s", 20_000), ("5m", 300_000), ("2h", 7_200_000), ("0s", 0)] {
            assert_eq!(parse(written), Ok(Duration::from_millis(ms)), "{written}");
        }
        for wrong in ["", "s", "20", "20 s", "1.5s", "-1s", "20sec", "99999999999999999999s", "1d", "2h30m", "+5s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse("20").unwrap_err(), "a duration has a unit: `20s` or `20ms`?");
        assert_eq!(parse("20sec").unwrap_err(), "did you mean `20s`?");
    }

    #[test]
    fn printing_is_exact() {
        for written in ["250ms", "20s", "5m", "2h", "95s", "90m"] {
            assert_eq!(text(parse(written).unwrap()), written);
        }
    }
}
