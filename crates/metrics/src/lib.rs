//! Every metric of Tandem: name, help text and labels in one place, and their text exposition.
#![forbid(unsafe_code)]
