//! Request methods.

/// A request's method. Methods are case-sensitive tokens (RFC 3261 section 7.1); unknown ones keep their text in the message.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// INVITE
    Invite,
    /// ACK
    Ack,
    /// BYE
    Bye,
    /// CANCEL
    Cancel,
    /// OPTIONS
    Options,
    /// REGISTER
    Register,
    /// PRACK
    Prack,
    /// UPDATE
    Update,
    /// REFER
    Refer,
    /// NOTIFY
    Notify,
    /// SUBSCRIBE
    Subscribe,
    /// INFO
    Info,
    /// MESSAGE
    Message,
    /// PUBLISH
    Publish,
    /// Any other token.
    Other,
}

const KNOWN: [(Method, &str); 14] = [
    (Method::Invite, "INVITE"),
    (Method::Ack, "ACK"),
    (Method::Bye, "BYE"),
    (Method::Cancel, "CANCEL"),
    (Method::Options, "OPTIONS"),
    (Method::Register, "REGISTER"),
    (Method::Prack, "PRACK"),
    (Method::Update, "UPDATE"),
    (Method::Refer, "REFER"),
    (Method::Notify, "NOTIFY"),
    (Method::Subscribe, "SUBSCRIBE"),
    (Method::Info, "INFO"),
    (Method::Message, "MESSAGE"),
    (Method::Publish, "PUBLISH"),
];

impl Method {
    /// The method of a token.
    pub fn of(text: &[u8]) -> Self {
        KNOWN.iter().find(|(_, name)| name.as_bytes() == text).map_or(Self::Other, |(method, _)| *method)
    }

    /// Its token; `OTHER` for unknown ones, for labels of metrics.
    pub fn text(self) -> &'static str {
        KNOWN.iter().find(|(method, _)| *method == self).map_or("OTHER", |(_, name)| name)
    }
}
