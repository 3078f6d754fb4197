//! The real daemon against real programs and parties, over loopback.
#![forbid(unsafe_code)]
