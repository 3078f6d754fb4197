//! Who may be called back, as an operator fixed it.

use core::time::Duration;

/// Who may be called back, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callbacks {
    /// Starts of the numbers (E.164, `+49`) that may be called; `+` allows all. Empty: none.
    pub allow: Vec<String>,
    /// The trunk that carries them; none: every trunk that may reach the number.
    pub trunk: Option<String>,
    /// How long the agent's phones, and then the caller's, ring.
    pub ring_timeout: Duration,
    /// After this long a claim that came to nothing is open again; zero: never.
    pub claim_lapses: Duration,
    /// Callbacks that wait at once; beyond them the next step of the chain is taken.
    pub most: usize,
}

impl Default for Callbacks {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            trunk: None,
            ring_timeout: Duration::from_secs(30),
            claim_lapses: Duration::from_secs(30 * 60),
            most: 10_000,
        }
    }
}

impl Callbacks {
    pub(crate) fn allows(&self, number: &str) -> bool {
        let digits = number.strip_prefix('+').unwrap_or_default();
        let e164 = (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        e164 && self.allow.iter().any(|start| number.starts_with(start.as_str()))
    }

    pub(crate) fn bounds(&self) -> crate::directory::Bounds {
        crate::directory::Bounds { most: self.most, claim_lapses: self.claim_lapses }
    }
}
