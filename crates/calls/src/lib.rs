//! The B2BUA itself: calls, legs, who hears whom, and the transfer from AI to human and back, without side effects.
#![forbid(unsafe_code)]
