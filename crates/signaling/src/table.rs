//! Hashing that a peer cannot aim at: keyed from the seed, the same in every run of it.

use std::hash::BuildHasher;

/// Builds hashers with a key of our own.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Keyed {
    key: (u64, u64),
}

impl Keyed {
    pub(crate) const fn new(key: (u64, u64)) -> Self {
        Self { key }
    }
}

#[expect(deprecated, reason = "the standard library has no other hasher that takes a key; SipHash 2-4 is what we want")]
impl BuildHasher for Keyed {
    type Hasher = std::hash::SipHasher;

    fn build_hasher(&self) -> Self::Hasher {
        std::hash::SipHasher::new_with_keys(self.key.0, self.key.1)
    }
}
