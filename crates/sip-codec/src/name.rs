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
                match text.len() {
                    $(n if n == $text.len() && text.eq_ignore_ascii_case($text.as_bytes()) => Self::$variant,)*
                    _ => Self::Other,
                }
            }
        }
    };
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
    MimeVersion "MIME-Version",
}
