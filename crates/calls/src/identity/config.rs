//! What a trunk is told of who calls and whom, and what it may pass on.

/// How identities, numbers and headers cross a trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkIdentity {
    /// The domain of the addresses we write to it; none: our own address as peers see it.
    pub domain: Option<String>,
    /// How it is written numbers.
    pub format: NumberFormat,
    /// What a number is dialled as.
    pub request_uri: RequestUri,
    /// How it is told that a call was handed on to it.
    pub forwarded: Forwarded,
    /// Headers of calls it brings that may be passed on.
    pub headers_in: Vec<String>,
    /// Of those, the ones that calls to it carry.
    pub headers_out: Vec<String>,
}

/// How a number is written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// `+49301234567`.
    #[default]
    E164,
    /// `49301234567`.
    Digits,
    /// With the trunk's international prefix: `0049301234567`.
    International,
    /// With the trunk's national prefix where the country is its own (`0301234567`), else international.
    National,
}

/// What the Request-URI of a dialled number is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum RequestUri {
    /// `tel:+49301234567` (RFC 3966).
    #[default]
    Tel,
    /// `sip:+49301234567@trunk;user=phone` (RFC 3261, section 19.1.6).
    Sip,
}

/// How a call says that it was handed on, and by whom.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Forwarded {
    /// Not at all.
    #[default]
    Untold,
    /// Diversion (RFC 5806).
    Diversion,
    /// History-Info (RFC 7044).
    HistoryInfo,
    /// Both.
    Both,
}
