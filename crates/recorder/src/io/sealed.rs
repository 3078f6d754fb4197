//! A recording that grows, encrypted: at every moment, what is on the disk can be made an age file (c2sp.org/age) without any key.
//!
//! The payload of an age file is chunks of 64 KiB, sealed one by one; the last says that it is the last. So a file that grows has no
//! last chunk. Here, full chunks go to the file `….part` and stay as they are; what there is of the chunk that is not full goes, sealed as
//! the last one, to one of two slots in the file `….tail`, in turn: one of them is always whole. After a kill the newer slot's chunk is
//! put behind the full ones, and that is an age file which ends there.
//!
//! What is in a slot is sealed under the nonce that the slot before had, as long as they are of one chunk. Each is the one before and some
//! more, so that no byte of key stream ever meets two different bytes, and who has seen all of them has learned nothing of the audio.
//! What suffers is the seal of that one chunk: who has seen several slots, and writes on the disk, could make up another ending. (They could
//! as well make up a whole recording: an age file does not say who has made it.) When the recording ends it is written anew under a
//! key of its own, where every chunk is sealed once.

use super::{
    disk::{Disk, Store},
    names::Names,
    recipients::Recipients,
};
use age::{EncryptError, secrecy::ExposeSecret as _};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use std::{
    collections::HashSet,
    io::{self, Read as _, Write},
    sync::Mutex,
};

/// Bytes of a full chunk, and of a seal.
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
/// Bytes of the nonce after an age file's header.
const NONCE: usize = 16;
/// Where the second slot begins.
const SLOT: u64 = 128 << 10;
/// Bytes before a slot's chunk.
const SLOT_HEAD: usize = 48;
const MAGIC: [u8; 8] = *b"tailslt1";

/// The file of one recording that grows.
pub(super) struct Sealed {
    main: Box<dyn Store>,
    tail: Box<dyn Store>,
    key: LessSafeKey,
    /// The age file's header and the payload's nonce.
    header: Vec<u8>,
    /// Whether it is in the file.
    begun: bool,
    /// Full chunks in the file.
    chunks: u64,
    /// What comes after them, in the clear; in memory alone.
    pending: Vec<u8>,
    /// Which slot is written next.
    slot: u64,
    /// Something is in no slot yet.
    untold: bool,
}

impl Sealed {
    /// Its files are made here.
    pub(super) fn create(disk: &dyn Disk, names: &Names, recipients: &Recipients) -> io::Result<Self> {
        let (header, key) = begin(recipients)?;
        let part = names.part(&names.audio());
        let main = disk.create(&part)?;
        let tail = match disk.create(&names.tail()) {
            Ok(tail) => tail,
            Err(error) => {
                // Both or none: the next attempt makes both.
                let _ = disk.remove(&part);
                return Err(error);
            }
        };
        let pending = Vec::with_capacity(CHUNK + CHUNK / 4);
        Ok(Self { main, tail, key, header, begun: false, chunks: 0, pending, slot: 0, untold: false })
    }

    /// Appends bytes. They are taken, or, where the disk refuses what came before them, none is.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.settle()?;
        self.pending.extend_from_slice(bytes);
        self.untold |= !bytes.is_empty();
        Ok(())
    }

    /// Everything that was appended is in the files: `samples` a channel.
    pub(super) fn flush(&mut self, samples: u64) -> io::Result<()> {
        self.settle()?;
        if self.untold {
            let slot = Slot { header: self.header.len() as u64, chunks: self.chunks, samples };
            let bytes = slot.with(&self.sealed(&self.pending, true)?);
            self.tail.write_at(&bytes, self.slot * SLOT)?;
            self.slot ^= 1;
            self.untold = false;
        }
        Ok(())
    }

    /// Writes the header and every chunk that is full and not the last.
    fn settle(&mut self) -> io::Result<()> {
        if !self.begun {
            self.main.write_at(&self.header, 0)?;
            self.begun = true;
        }
        while self.pending.len() > CHUNK {
            let sealed = self.sealed(&self.pending[..CHUNK], false)?;
            self.main.write_at(&sealed, place(self.header.len() as u64, self.chunks))?;
            self.pending.drain(..CHUNK);
            self.chunks += 1;
        }
        Ok(())
    }

    /// The recording has ended: it is written anew, under another key, with `head` in place of what it began with; and on the medium. Says
    /// how many bytes it has. Where that fails (a disk that has no room for both), the file that grew gets its last chunk, and is it.
    pub(super) fn publish(
        mut self,
        disk: &dyn Disk,
        names: &Names,
        head: &[u8],
        recipients: &Recipients,
    ) -> io::Result<u64> {
        self.settle()?;
        let fresh = names.fresh(&names.audio());
        match self.write_anew(disk, names, head, recipients) {
            Ok(bytes) => {
                disk.rename(&fresh, &names.audio())?;
                return Ok(bytes);
            }
            Err(error) => {
                tracing::warn!(%error, id = names.call, "a recording cannot be written anew; it stays as it has grown");
                disk.remove(&fresh)?;
            }
        }
        let last = self.sealed(&self.pending, true)?;
        let at = place(self.header.len() as u64, self.chunks);
        self.main.write_at(&last, at)?;
        self.main.sync()?;
        disk.rename(&names.part(&names.audio()), &names.audio())?;
        Ok(at + last.len() as u64)
    }

    fn write_anew(&self, disk: &dyn Disk, names: &Names, head: &[u8], recipients: &Recipients) -> io::Result<u64> {
        let store = disk.create(&names.fresh(&names.audio()))?;
        let mut writer = recipients.encryptor()?.wrap_output(Appending { store, at: 0 })?;
        writer.write_all(head)?;
        let mut skip = head.len();
        let mut grown = disk.open(&names.part(&names.audio()))?;
        grown.read_exact(&mut vec![0; self.header.len()])?;
        let mut chunk = vec![0; CHUNK + TAG];
        for number in 0..self.chunks {
            grown.read_exact(&mut chunk)?;
            let opened = self.key.open_in_place(nonce(number, false), Aad::empty(), &mut chunk);
            let opened = opened.map_err(|_| io::Error::other("what has grown is not what was written"))?;
            writer.write_all(&opened[skip.min(CHUNK)..])?;
            skip = 0;
        }
        writer.write_all(&self.pending[skip.min(self.pending.len())..])?;
        let mut appended = writer.finish()?;
        appended.store.sync()?;
        Ok(appended.at)
    }

    fn sealed(&self, bytes: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(bytes.len() + TAG);
        sealed.extend_from_slice(bytes);
        let done = self.key.seal_in_place_append_tag(nonce(self.chunks, last), Aad::empty(), &mut sealed);
        done.map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
        Ok(sealed)
    }
}

/// A store that is written from its beginning on.
struct Appending {
    store: Box<dyn Store>,
    at: u64,
}

impl Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.store.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the head of a slot says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Slot {
    /// Bytes of the age file's header.
    header: u64,
    /// Full chunks before the slot's.
    chunks: u64,
    /// Samples a channel in all of them and the slot's.
    samples: u64,
}

impl Slot {
    fn with(self, sealed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_HEAD + sealed.len());
        bytes.extend(MAGIC);
        for number in [self.header, self.chunks, self.samples, sealed.len() as u64, 0] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend_from_slice(sealed);
        let sum = sum(&bytes).to_le_bytes();
        bytes[SLOT_HEAD - 8..SLOT_HEAD].copy_from_slice(&sum);
        bytes
    }

    /// A slot that is whole, and its chunk.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let length = usize::try_from(number(32)?).ok()?;
        let whole = bytes.get(..SLOT_HEAD.checked_add(length)?)?;
        let mut unsummed = whole.to_vec();
        unsummed[SLOT_HEAD - 8..SLOT_HEAD].fill(0);
        let good = bytes.starts_with(&MAGIC) && length > TAG && sum(&unsummed) == number(40)?;
        let slot = Self { header: number(8)?, chunks: number(16)?, samples: number(24)? };
        good.then(|| (slot, &whole[SLOT_HEAD..]))
    }
}

/// How a recording that was left behind ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Where its last chunk goes.
    pub(super) at: u64,
    /// That chunk, sealed.
    pub(super) last: Vec<u8>,
    /// Samples a channel in all of it.
    pub(super) samples: u64,
}

/// What is newest in the slots of a tail, and fits what is in a file that has grown to `length` bytes.
pub(super) fn ending(tail: &[u8], length: u64) -> Option<Ending> {
    let second = usize::try_from(SLOT).ok().and_then(|at| tail.get(at..)).unwrap_or_default();
    let slots = [tail, second].into_iter().filter_map(Slot::read);
    let there = slots.filter(|(slot, _)| place(slot.header, slot.chunks) <= length);
    let (slot, last) = there.max_by_key(|(slot, last)| (slot.chunks, last.len()))?;
    Some(Ending { at: place(slot.header, slot.chunks), last: last.to_vec(), samples: slot.samples })
}

/// Where a chunk begins in a file.
fn place(header: u64, chunk: u64) -> u64 {
    header.saturating_add(chunk.saturating_mul((CHUNK + TAG) as u64))
}

/// The nonce of a chunk: its number in 88 bits, and whether it is the last.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

/// Tells a slot that was half written from one that is whole; it defends against nobody.
fn sum(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    bytes
        .chunks(8)
        .fold(bytes.len() as u64, |sum, chunk| (sum ^ word(chunk)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

/// An age file's header for these recipients, with the payload's nonce behind it, and the payload's key.
fn begin(recipients: &Recipients) -> io::Result<(Vec<u8>, LessSafeKey)> {
    let witness = Witness { recipients, seen: Mutex::new(None) };
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&witness as &dyn age::Recipient));
    let mut header = Vec::new();
    // Nothing is written by it but the header and the nonce.
    drop(encryptor.map_err(io::Error::other)?.wrap_output(&mut header)?);
    let file_key = witness.seen.into_inner().ok().flatten().ok_or_else(|| io::Error::other("no file key"))?;
    let nonce = header.last_chunk::<NONCE>().ok_or_else(|| io::Error::other("no nonce"))?;
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, nonce).extract(file_key.expose_secret());
    let key = secret.expand(&[b"payload"], &CHACHA20_POLY1305).map_err(|_| io::Error::other("no payload key"))?;
    Ok((header, LessSafeKey::new(UnboundKey::from(key))))
}

/// Stands for all recipients before age's encryptor and sees the file key go by.
struct Witness<'a> {
    recipients: &'a Recipients,
    seen: Mutex<Option<FileKey>>,
}

impl age::Recipient for Witness<'_> {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let copied = FileKey::init_with_mut(|copy: &mut [u8; FILE_KEY_BYTES]| *copy = *file_key.expose_secret());
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(copied);
        }
        let (mut stanzas, mut labels) = (Vec::new(), HashSet::new());
        for recipient in self.recipients.keys() {
            let (own, demanded) = recipient.wrap_file_key(file_key)?;
            stanzas.extend(own);
            labels.extend(demanded);
        }
        Ok((stanzas, labels))
    }
}
