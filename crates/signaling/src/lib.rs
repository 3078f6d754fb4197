//! SIP transactions, dialogs and the INVITE usage as a machine without sockets or a clock (RFC 3261, RFC 6026).
#![forbid(unsafe_code)]
