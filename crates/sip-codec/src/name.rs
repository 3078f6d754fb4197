//! Header names that Tandem knows by meaning; every other name is kept as text.

macro_rules! names {
    ($($variant:ident $text:literal $(/ $compact:literal)?,)*) => {
        /// A header's name, by its meaning: case and compact forms make no difference.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Name {
            $(#[doc = $text] $variant,)*
            /// A header that has no meaning to this crate; its text is in the message.
            Other,
        }

        impl Name {
            /// The name as it is printed; `None` for [`Name::Other`].
            pub const fn text(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($text),)*
                    Self::Other => None,
                }
            }

            /// The meaning of a name as written, in any case, long or compact.
            pub fn of(text: &[u8]) -> Self {
                if let [letter] = text {
                    return match letter.to_ascii_lowercase() {
                        $($($compact => Self::$variant,)?)*
                        _ => Self::Other,
                    };
                }
                let Some(first) = text.first() else { return Self::Other };
                let letter = usize::from((first | 0x20).wrapping_sub(b'a'));
                let mut at = match FIRST.get(text.len()).and_then(|row| row.get(letter)) {
                    Some(at) => *at,
                    None => return Self::Other,
                };
                while let Some((name, known)) = ALL.get(usize::from(at)) {
                    // As the standard writes it, or in any other case.
                    if text == known.as_bytes() || text.eq_ignore_ascii_case(known.as_bytes()) {
                        return *name;
                    }
                    at = NEXT[usize::from(at)];
                }
                Self::Other
            }
        }

        const ALL: &[(Name, &str)] = &[$((Name::$variant, $text),)*];
    };
}

/// The longest name and one.
const LENGTHS: usize = 24;

/// Places in [`ALL`]: the first name of a length and an initial, 255 where there is none. Hardly any two share both.
static FIRST: [[u8; 26]; LENGTHS] = tables().0;
/// The next name of the same length and initial.
static NEXT: [u8; ALL.len()] = tables().1;

#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 255 names")]
const fn tables() -> ([[u8; 26]; LENGTHS], [u8; ALL.len()]) {
    let (mut first, mut next) = ([[u8::MAX; 26]; LENGTHS], [u8::MAX; ALL.len()]);
    let mut at = 0;
    while at < ALL.len() {
        let text = ALL[at].1.as_bytes();
        let row = &mut first[text.len()][((text[0] | 0x20) - b'a') as usize];
        next[at] = *row;
        *row = at as u8;
        at += 1;
    }
    (first, next)
}

names! {
    Via "Via" / b'v',
    From "From" / b'f',
    To "To" / b't',
    CallId "Call-ID" / b'i',
    CSeq "CSeq",
    Contact "Contact" / b'm',
    MaxForwards "Max-Forwards",
    RecordRoute "Record-Route",
    Route "Route",
    ContentType "Content-Type" / b'c',
    ContentLength "Content-Length" / b'l',
    ContentEncoding "Content-Encoding" / b'e',
    ContentDisposition "Content-Disposition",
    Require "Require",
    ProxyRequire "Proxy-Require",
    Supported "Supported" / b'k',
    Unsupported "Unsupported",
    Allow "Allow",
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    Expires "Expires",
    RetryAfter "Retry-After",
    Reason "Reason",
    WwwAuthenticate "WWW-Authenticate",
    ProxyAuthenticate "Proxy-Authenticate",
    Authorization "Authorization",
    ProxyAuthorization "Proxy-Authorization",
    UserAgent "User-Agent",
    Server "Server",
    Subject "Subject" / b's',
    Event "Event" / b'o',
    AllowEvents "Allow-Events" / b'u',
    ReferTo "Refer-To" / b'r',
    ReferredBy "Referred-By" / b'b',
    Replaces "Replaces",
    RSeq "RSeq",
    RAck "RAck",
    SessionExpires "Session-Expires" / b'x',
    MinSe "Min-SE",
    PAssertedIdentity "P-Asserted-Identity",
    Privacy "Privacy",
    UserToUser "User-to-User",
    CallInfo "Call-Info",
    AlertInfo "Alert-Info",
    Diversion "Diversion",
    HistoryInfo "History-Info",
    Timestamp "Timestamp",
    Date "Date",
    Warning "Warning",
    Path "Path",
    MinExpires "Min-Expires",
    MimeVersion "MIME-Version",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_a_neighbour_is_not() {
        for (name, text) in ALL {
            for written in [(*text).to_owned(), text.to_lowercase(), text.to_uppercase()] {
                assert_eq!(Name::of(written.as_bytes()), *name, "{written}");
            }
            assert_eq!(Name::of(format!("{text}x").as_bytes()), Name::Other, "{text}x");
        }
        assert_eq!(
            (Name::of(b""), Name::of(b"v"), Name::of(b"V"), Name::of(b"z")),
            (Name::Other, Name::Via, Name::Via, Name::Other)
        );
    }
}
