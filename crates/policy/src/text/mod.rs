//! From text to a tree whose every node knows its place, and from the tree to typed values with every mistake noted.
//!
//! YAML files and JSON requests become the same [`Node`], so that a word means the same in a rules file, in its tests
//! and in the API, and is refused in the same words.

mod fields;
mod json;
mod node;
mod yaml;

pub(crate) use fields::Fields;
pub(crate) use json::{from_json, to_json};
pub(crate) use node::{Key, Kind, Node, Problems, Span, Style, short};
pub(crate) use yaml::{LARGEST_FILE, parse};
