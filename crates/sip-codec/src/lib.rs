//! SIP on the wire: messages, headers, URIs and stream framing over one buffer of bytes.
#![forbid(unsafe_code)]
