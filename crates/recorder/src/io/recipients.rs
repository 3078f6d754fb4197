//! Whom recordings are encrypted to: public keys of age (c2sp.org/age), whose private halves are elsewhere.

use age::{Encryptor, x25519};
use std::{fmt, io, io::Write as _, str::FromStr, sync::Arc};
use thiserror::Error;

/// A public key: `age1…`.
#[derive(Clone)]
pub struct Recipient {
    key: x25519::Recipient,
    text: String,
}

/// Why a text is no public key. No message repeats the text: it may be a secret.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Error)]
pub enum RecipientError {
    /// It is the private half.
    #[error("this is a private key, which has no place here")]
    Private,
    /// It is a key of another kind.
    #[error("this is a key of another kind than X25519")]
    Kind,
    /// It is none at all.
    #[error("this is no public key of age")]
    NoKey,
    /// It begins like one.
    #[error("this public key is damaged: its checksum is wrong, or characters are missing")]
    Damaged,
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        let lower = text.to_ascii_lowercase();
        if lower.contains("age-secret-key-") {
            return Err(RecipientError::Private);
        }
        if ["age1pq", "age1tag", "age1yubikey", "age1se1", "age1tpm", "ssh-"].iter().any(|kind| lower.starts_with(kind))
            && text.parse::<x25519::Recipient>().is_err()
        {
            return Err(RecipientError::Kind);
        }
        if !lower.starts_with("age1") {
            return Err(RecipientError::NoKey);
        }
        let key: x25519::Recipient = text.parse().map_err(|_| RecipientError::Damaged)?;
        Ok(Self { text: key.to_string(), key })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Everybody who can open what is recorded. Of none, nothing is encrypted.
#[derive(Clone, Debug, Default)]
pub struct Recipients(Arc<[Recipient]>);

impl Recipients {
    /// These.
    pub fn new(recipients: Vec<Recipient>) -> Self {
        Self(recipients.into())
    }

    /// Nothing is encrypted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their public keys.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(Recipient::to_string).collect()
    }

    /// An age file of these bytes.
    pub(super) fn seal(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut writer = self.encryptor()?.wrap_output(Vec::with_capacity(bytes.len() + 512))?;
        writer.write_all(bytes)?;
        writer.finish()
    }

    pub(super) fn encryptor(&self) -> io::Result<Encryptor> {
        Encryptor::with_recipients(self.keys()).map_err(io::Error::other)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.0.iter().map(|recipient| &recipient.key as &dyn age::Recipient)
    }
}
