//! Session descriptions and the offer/answer machine (RFC 8866, RFC 3264, RFC 6337).
#![forbid(unsafe_code)]
