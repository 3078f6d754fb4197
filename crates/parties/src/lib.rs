//! Scripted SIP and RTP parties (trunk, AI, human) for the demonstration, rehearsals and tests.
#![forbid(unsafe_code)]
