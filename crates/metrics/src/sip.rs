//! Label values of SIP messages: what a peer invents must not become a series.

/// Which way a message or packet went.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

impl Direction {
    pub(crate) const NAMES: &[&str] = &["in", "out"];

    /// The label's value: `in` or `out`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// The methods of the IANA registry.
pub(crate) const METHODS: &[&str] = &[
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];

/// The response codes of the IANA registry; any other is counted by its class.
pub(crate) const CODES: &[&str] = &[
    "100", "180", "181", "182", "183", "199", "200", "202", "204", "300", "301", "302", "305", "380", "400", "401",
    "402", "403", "404", "405", "406", "407", "408", "410", "412", "413", "414", "415", "416", "417", "420", "421",
    "422", "423", "424", "425", "428", "429", "430", "433", "436", "437", "438", "439", "440", "469", "470", "480",
    "481", "482", "483", "484", "485", "486", "487", "488", "489", "491", "493", "494", "500", "501", "502", "503",
    "504", "505", "513", "555", "580", "600", "603", "604", "606", "607", "608", "1xx", "2xx", "3xx", "4xx", "5xx",
    "6xx",
];

/// The three label values of one message.
pub(crate) fn labels(method: &str, direction: Direction, code: Option<u16>) -> [&str; 3] {
    [method, direction.name(), code.map_or("", code_label)]
}

/// The code as registered, or its class.
fn code_label(code: u16) -> &'static str {
    let mut digits = [0_u8; 3];
    let mut rest = code;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let registered = CODES.iter().find(|known| known.as_bytes() == digits && rest == 0);
    registered.copied().unwrap_or(match code {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        600..700 => "6xx",
        _ => crate::OTHER,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_codes_are_themselves_and_invented_ones_are_their_class() {
        assert_eq!(code_label(180), "180");
        assert_eq!(code_label(486), "486");
        assert_eq!(code_label(499), "4xx");
        assert_eq!(code_label(699), "6xx");
        assert_eq!(code_label(0), crate::OTHER);
        assert_eq!(code_label(1486), crate::OTHER);
    }
}
