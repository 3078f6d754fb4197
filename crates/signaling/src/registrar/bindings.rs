//! The bindings of one account (RFC 3261 section 10.3, steps 6 to 8).

use crate::{Flow, message::Request};
use clock::Monotonic;
use serde::{Deserialize, Serialize};
use sip_codec::{Name, Uri};
use std::{net::IpAddr, time::Duration};

/// Bytes of the longest Contact and of the longest Path that is kept.
const LONGEST: usize = 512;
/// Path values of a binding.
const MOST_PATHS: usize = 8;
/// Contacts of one request.
const MOST_CONTACTS: usize = 32;

/// Where a registered phone is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The Request-URI of requests to it.
    pub uri: String,
    /// Which way they go: over the stream that its registration came by as long as that is open (RFC 5626 section 5.3).
    pub flow: Flow,
    /// Their Route headers, from the registration's Path (RFC 3327), in order.
    pub routes: Vec<String>,
}

/// One account's bindings.
#[derive(Debug)]
pub(super) struct Bindings {
    all: Vec<Binding>,
    most: usize,
}

#[derive(Clone, Debug)]
struct Binding {
    contact: Contact,
    source: IpAddr,
    call_id: Vec<u8>,
    cseq: u32,
    expiry: Monotonic,
    heard: Monotonic,
}

/// What a REGISTER asks for.
#[derive(Debug)]
pub(super) enum Wish {
    /// Nothing but the bindings there are.
    Fetch,
    /// `Contact: *` with `Expires: 0`.
    Nothing,
    /// These, each for so long; zero removes it.
    Contacts { contacts: Vec<(Contact, Duration)>, source: IpAddr },
}

/// Why it is refused; nothing is changed then.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 423
    TooBrief,
    /// 500: the same Call-ID has said something later already.
    OutOfOrder,
    /// 400
    Wrong(&'static str),
}

/// What a change left for the index of sources.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// Bindings from this request's source that are new.
    pub(super) entered: usize,
    /// Sources of bindings that are gone.
    pub(super) left: Vec<IpAddr>,
}

impl Wish {
    /// Reads a request: the shortest and the longest time are the registrar's own.
    pub(super) fn read(
        request: &Request,
        (shortest, longest): (Duration, Duration),
        flow: impl Fn(&Uri<'_>) -> Flow,
    ) -> Result<Self, Refusal> {
        let message = &request.message;
        // A time that cannot be read is the registrar's own (10.2.1.1).
        let expires = message.expires().ok().flatten();
        let mut values = message.values(Name::Contact);
        let Some(first) = values.next() else { return Ok(Self::Fetch) };
        if first == b"*" {
            let alone = values.next().is_none() && expires == Some(0);
            return if alone {
                Ok(Self::Nothing)
            } else {
                Err(Refusal::Wrong("Contact * needs Expires 0 and no other"))
            };
        }
        let routes: Vec<String> = message.values(Name::Path).map(crate::message::text).collect();
        if routes.len() > MOST_PATHS || routes.iter().any(|route| route.len() > LONGEST) {
            return Err(Refusal::Wrong("Path Too Long"));
        }
        let mut contacts = Vec::new();
        for contact in message.contacts() {
            let contact = contact.map_err(|_| Refusal::Wrong("Bad Contact"))?;
            let uri = contact.uri;
            let text = std::str::from_utf8(uri.text).ok().filter(|text| text.len() <= LONGEST);
            // What is not `sip:` cannot be rung.
            let (Some(text), true, true) = (text, uri.is_sip(), uri.headers.is_empty()) else {
                return Err(Refusal::Wrong("Bad Contact"));
            };
            if contacts.len() == MOST_CONTACTS {
                return Err(Refusal::Wrong("Too Many Contacts"));
            }
            let own = contact.params().value(b"expires").and_then(seconds);
            let wanted = own.or(expires).map_or(longest, |seconds| Duration::from_secs(seconds.into()));
            if !wanted.is_zero() && wanted < shortest {
                return Err(Refusal::TooBrief);
            }
            let contact = Contact { uri: text.to_owned(), flow: flow(&uri), routes: routes.clone() };
            contacts.push((contact, wanted.min(longest)));
        }
        Ok(Self::Contacts { contacts, source: request.flow.remote.ip() })
    }
}

/// A number of seconds; one too large is cut.
fn seconds(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    (!text.is_empty()).then(|| text.parse().unwrap_or(u32::MAX))
}

impl Bindings {
    pub(super) fn new(most: usize) -> Self {
        Self { all: Vec::new(), most }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Does all that is wished, or nothing (10.3, step 7).
    pub(super) fn change(&mut self, now: Monotonic, call_id: &[u8], cseq: u32, wish: Wish) -> Result<Changed, Refusal> {
        let late = |binding: &Binding| binding.call_id == call_id && cseq <= binding.cseq;
        match wish {
            Wish::Fetch => Ok(Changed::default()),
            Wish::Nothing => {
                if self.all.iter().any(late) {
                    return Err(Refusal::OutOfOrder);
                }
                Ok(Changed { entered: 0, left: self.all.drain(..).map(|binding| binding.source).collect() })
            }
            Wish::Contacts { contacts, source } => {
                let places: Vec<Option<usize>> = contacts.iter().map(|(contact, _)| self.find(&contact.uri)).collect();
                if places.iter().flatten().any(|at| late(&self.all[*at])) {
                    return Err(Refusal::OutOfOrder);
                }
                let mut changed = Changed::default();
                for (contact, wanted) in contacts {
                    if let Some(at) = self.find(&contact.uri) {
                        changed.left.push(self.all.remove(at).source);
                    }
                    if wanted.is_zero() {
                        continue;
                    }
                    if self.all.len() >= self.most
                        && let Some(oldest) = (0..self.all.len()).min_by_key(|at| self.all[*at].heard)
                    {
                        changed.left.push(self.all.remove(oldest).source);
                    }
                    changed.entered += 1;
                    let (call_id, expiry) = (call_id.to_vec(), now + wanted);
                    self.all.push(Binding { contact, source, call_id, cseq, expiry, heard: now });
                }
                Ok(changed)
            }
        }
    }

    /// Drops what is over; the sources of what was dropped.
    pub(super) fn expire(&mut self, now: Monotonic) -> Vec<IpAddr> {
        self.all.extract_if(.., |binding| binding.expiry <= now).map(|binding| binding.source).collect()
    }

    pub(super) fn next_expiry(&self) -> Option<Monotonic> {
        self.all.iter().map(|binding| binding.expiry).min()
    }

    pub(super) fn come_from(&self, source: IpAddr) -> bool {
        self.all.iter().any(|binding| binding.source.to_canonical() == source.to_canonical())
    }

    /// In an order that a refresh does not change.
    pub(super) fn contacts(&self) -> Vec<Contact> {
        let mut contacts: Vec<Contact> = self.all.iter().map(|binding| binding.contact.clone()).collect();
        contacts.sort_by(|one, other| one.uri.cmp(&other.uri));
        contacts
    }

    /// The Contact values of a response: each with what is left of its time, in seconds.
    pub(super) fn printed(&self, now: Monotonic) -> Vec<String> {
        let print = |binding: &Binding| {
            let left = binding.expiry.since(now).as_secs();
            format!("<{}>;expires={left}", binding.contact.uri)
        };
        self.all.iter().map(print).collect()
    }

    /// Contacts are equal as URIs are (19.1.4).
    fn find(&self, uri: &str) -> Option<usize> {
        let uri = Uri::parse(uri.as_bytes())?;
        self.all
            .iter()
            .position(|binding| Uri::parse(binding.contact.uri.as_bytes()).is_some_and(|known| known.is_equal(&uri)))
    }
}
