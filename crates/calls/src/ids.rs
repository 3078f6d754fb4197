//! Names of things: of calls and transfers as people write them, and of outstanding requests between this room and its shell.

use clock::Now;
use core::{fmt, str::FromStr};
use rand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;

/// Gives an id its prefix: the text form is `<prefix>_<ULID>`, 28 characters, sorting by the time of birth.
macro_rules! prefixed {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// A new id, born at `now`; what is random in it comes from `chance`.
            pub fn generate(now: Now, chance: &mut impl Rng) -> Self {
                let random = (u128::from(chance.next_u64()) << 64) | u128::from(chance.next_u64());
                Self(Ulid::from_parts(now.unix_ms(), random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or(BadId { prefix: $prefix })?;
                Ulid::from_string(digits).map(Self).map_err(|_| BadId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

prefixed!(
    /// A call's id as people and programs write it: `c_01J…`.
    CallId, "c"
);
prefixed!(
    /// A transfer's id: `t_01J…`.
    TransferId, "t"
);
prefixed!(
    /// The id of a message left in a mailbox: `v_01J…`.
    VoicemailId, "v"
);
prefixed!(
    /// A callback's id: `b_01J…`.
    CallbackId, "b"
);
prefixed!(
    /// The id of a message that a caller left: `m_01J…`.
    MessageId, "m"
);

/// The text is not an id of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of the form {prefix}_ followed by 26 letters and digits")]
pub struct BadId {
    prefix: &'static str,
}

/// Joins a request to its reply; chosen by the shell, echoed, never looked into.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Joins [`crate::Output::OpenPort`] to its outcome.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpenId(pub u64);

/// Joins [`crate::Output::Resolve`] to its outcome.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResolveId(pub u64);

/// Joins [`crate::Output::Store`] to its outcome.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoreId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn an_id_reads_back_as_written_and_sorts_by_birth() {
        let mut chance = StdRng::seed_from_u64(7);
        let early = Now { unix: Duration::from_secs(1_790_000_000), ..Now::default() };
        let first = CallId::generate(early, &mut chance);
        let second = CallId::generate(early.after(Duration::from_millis(1)), &mut chance);
        assert!(first < second);
        assert!(first.to_string() < second.to_string());
        assert_eq!(first.to_string().len(), 28);
        assert_eq!(first.to_string().parse::<CallId>(), Ok(first));
        assert!(first.to_string().parse::<TransferId>().is_err());
        assert!("c_".parse::<CallId>().is_err());
        let json = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<CallId>(&json).unwrap(), first);
    }
}
