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
                let (Some(row), Some(first)) = (BY_LENGTH.get(text.len()), text.first()) else { return Self::Other };
                row.iter()
                    .map_while(|at| ALL.get(usize::from(*at)))
                    // One letter tells nearly all names of a length apart.
                    .find(|(_, known)| {
                        (known.as_bytes()[0] ^ first) & !0x20 == 0 && text.eq_ignore_ascii_case(known.as_bytes())
                    })
                    .map_or(Self::Other, |(name, _)| *name)
            }
        }

        const ALL: &[(Name, &str)] = &[$((Name::$variant, $text),)*];
    };
}

/// Places in [`ALL`] by the length of the name; 255 ends a row.
static BY_LENGTH: [[u8; 12]; 24] = by_length();

#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 255 names")]
const fn by_length() -> [[u8; 12]; 24] {
    let mut rows = [[u8::MAX; 12]; 24];
    let mut filled = [0; 24];
    let mut at = 0;
    while at < ALL.len() {
        let length = ALL[at].1.len();
        rows[length][filled[length]] = at as u8;
        filled[length] += 1;
        at += 1;
    }
    rows
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
