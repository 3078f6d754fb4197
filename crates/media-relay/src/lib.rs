//! RTP ports, forwarding with one continuous sender a leg, conversion, players and measurement, without sockets or a clock.
#![forbid(unsafe_code)]
