//! Which streams are open, by number, by where they lead, and by who opened how many.

use crate::{ConnectionId, Flow, Transport};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use tokio::sync::mpsc::{Sender, error::TrySendError};

/// Where a stream leads: requests to the same place, which ask for the same identity, share it (RFC 5923, RFC 5922).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) name: Option<Arc<str>>,
}

impl Place {
    pub(super) fn of(flow: &Flow, name: Option<&Arc<str>>) -> Self {
        let name = name.filter(|_| flow.transport == Transport::Tls).cloned();
        Self { transport: flow.transport, local: flow.local, remote: flow.remote, name }
    }
}

/// One stream, open or opening.
#[derive(Debug)]
struct Stream {
    place: Place,
    /// Of a stream that somebody opened to us.
    source: Option<IpAddr>,
    queue: Sender<Bytes>,
    /// Its TLS handshake with whoever opened it is under way.
    handshake: bool,
    /// It has carried a request of ours: its end concerns the core.
    asked: bool,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Queued,
    /// The peer reads too slowly: its stream is given up.
    Slow,
    /// Nobody leads there.
    Nowhere(Bytes),
}

/// All streams.
#[derive(Debug, Default)]
pub(super) struct Table {
    next: u64,
    streams: BTreeMap<ConnectionId, Stream>,
    by_place: BTreeMap<Place, ConnectionId>,
    by_source: BTreeMap<IpAddr, usize>,
    handshakes: usize,
    handshakes_by_source: BTreeMap<IpAddr, usize>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// How many streams a source has opened to us.
    pub(super) fn of_source(&self, source: IpAddr) -> usize {
        self.by_source.get(&network(source)).copied().unwrap_or(0)
    }

    /// TLS handshakes of others with us that are under way.
    pub(super) fn handshakes(&self) -> usize {
        self.handshakes
    }

    /// How many of those a source has begun.
    pub(super) fn handshakes_of(&self, source: IpAddr) -> usize {
        self.handshakes_by_source.get(&network(source)).copied().unwrap_or(0)
    }

    /// A stream of ours, or one that `source` opened to us.
    pub(super) fn enter(&mut self, place: Place, source: Option<IpAddr>, queue: Sender<Bytes>) -> ConnectionId {
        self.next += 1;
        let id = ConnectionId(self.next);
        if let Some(source) = source {
            *self.by_source.entry(network(source)).or_default() += 1;
        }
        let handshake = source.filter(|_| place.transport == Transport::Tls);
        if let Some(source) = handshake {
            self.handshakes += 1;
            *self.handshakes_by_source.entry(network(source)).or_default() += 1;
        }
        let handshake = handshake.is_some();
        self.by_place.insert(place.clone(), id);
        self.streams.insert(id, Stream { place, source, queue, handshake, asked: false });
        id
    }

    /// Queues a message over the stream it names, as long as that is there, else over the one that leads to its place.
    pub(super) fn send(&mut self, flow: &Flow, name: Option<&Arc<str>>, bytes: Bytes) -> Sent {
        let named = flow.connection.filter(|id| self.streams.contains_key(id));
        let Some(id) = named.or_else(|| self.by_place.get(&Place::of(flow, name)).copied()) else {
            return Sent::Nowhere(bytes);
        };
        let Some(stream) = self.streams.get_mut(&id) else { return Sent::Nowhere(bytes) };
        stream.asked |= !bytes.starts_with(b"SIP/2.0 ");
        match stream.queue.try_send(bytes) {
            Ok(()) => Sent::Queued,
            Err(TrySendError::Full(_)) => {
                self.leave(id);
                Sent::Slow
            }
            // Its task has ended and will say so.
            Err(TrySendError::Closed(bytes)) => {
                self.leave(id);
                Sent::Nowhere(bytes)
            }
        }
    }

    /// The TLS handshake of a stream is over, however it ended.
    pub(super) fn shaken(&mut self, id: ConnectionId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if std::mem::take(&mut stream.handshake) {
            self.handshakes -= 1;
            fewer(&mut self.handshakes_by_source, stream.source);
        }
    }

    /// A stream is over. True when it was known and has carried a request of ours.
    pub(super) fn leave(&mut self, id: ConnectionId) -> bool {
        self.shaken(id);
        let Some(stream) = self.streams.remove(&id) else { return false };
        if self.by_place.get(&stream.place) == Some(&id) {
            self.by_place.remove(&stream.place);
        }
        fewer(&mut self.by_source, stream.source);
        stream.asked
    }
}

/// One less of a source.
fn fewer(counts: &mut BTreeMap<IpAddr, usize>, source: Option<IpAddr>) {
    if let Some(source) = source.map(network)
        && let Some(count) = counts.get_mut(&source)
    {
        *count -= 1;
        if *count == 0 {
            counts.remove(&source);
        }
    }
}

/// Who counts as one source: an IPv4 address, or an IPv6 network of 64 bits, which one subscriber has as a rule.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::{Receiver, channel};

    fn flow(port: u16, connection: Option<u64>) -> Flow {
        let (local, remote) = ("192.0.2.1:5061".parse().unwrap(), SocketAddr::new("192.0.2.9".parse().unwrap(), port));
        Flow { connection: connection.map(ConnectionId), ..Flow::new(Transport::Tls, local, remote) }
    }

    fn entered(table: &mut Table, port: u16, name: Option<&Arc<str>>) -> (ConnectionId, Receiver<Bytes>) {
        let (queue, receiver) = channel(2);
        (table.enter(Place::of(&flow(port, None), name), None, queue), receiver)
    }

    const BYE: Bytes = Bytes::from_static(b"BYE ");

    #[test]
    fn rfc5922_streams_are_shared_by_place_and_verified_name() {
        let (carrier, other): (Arc<str>, Arc<str>) = ("carrier.example".into(), "other.example".into());
        let mut table = Table::default();
        let (_, mut queue) = entered(&mut table, 5061, Some(&carrier));
        assert_eq!(table.send(&flow(5061, None), Some(&carrier), BYE), Sent::Queued);
        assert!(queue.try_recv().is_ok());
        assert_eq!(table.send(&flow(5061, None), Some(&other), BYE), Sent::Nowhere(BYE), "the identity is another");
        assert_eq!(table.send(&flow(5061, None), None, BYE), Sent::Nowhere(BYE));
        assert_eq!(table.send(&flow(5062, None), Some(&carrier), BYE), Sent::Nowhere(BYE));
    }

    #[test]
    fn rfc3261_18_2_2_a_message_takes_the_stream_it_names_as_long_as_that_is_there() {
        let mut table = Table::default();
        let (one, mut first) = entered(&mut table, 40_000, None);
        let (_, mut second) = entered(&mut table, 5061, None);
        assert_eq!(table.send(&flow(5061, Some(one.0)), None, BYE), Sent::Queued);
        assert!(first.try_recv().is_ok() && second.try_recv().is_err());
        table.leave(one);
        assert_eq!(table.send(&flow(5061, Some(one.0)), None, BYE), Sent::Queued);
        assert!(second.try_recv().is_ok());
    }

    #[test]
    fn a_peer_that_does_not_read_loses_its_stream_at_the_bound() {
        let mut table = Table::default();
        let (_, _queue) = entered(&mut table, 5061, None);
        let sent: Vec<Sent> = (0..3).map(|_| table.send(&flow(5061, None), None, BYE)).collect();
        assert_eq!(sent, [Sent::Queued, Sent::Queued, Sent::Slow]);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn only_a_stream_that_has_carried_a_request_of_ours_is_missed() {
        let mut table = Table::default();
        let (one, _queue) = entered(&mut table, 5061, None);
        table.send(&flow(5061, None), None, Bytes::from_static(b"SIP/2.0 200 OK\r\n"));
        assert!(!table.leave(one));
        let (two, _queue) = entered(&mut table, 5061, None);
        table.send(&flow(5061, None), None, BYE);
        assert!(table.leave(two) && !table.leave(two));
    }

    #[test]
    fn a_handshake_counts_from_the_first_byte_until_it_is_over_or_its_stream_is() {
        let mut table = Table::default();
        let source: IpAddr = "2001:db8::1".parse().unwrap();
        let mut enter = |transport, source| {
            let place = Place { transport, ..Place::of(&flow(1, None), None) };
            table.enter(place, source, channel(1).0)
        };
        let (one, two) = (enter(Transport::Tls, Some(source)), enter(Transport::Tls, Some(source)));
        enter(Transport::Tcp, Some(source));
        enter(Transport::Tls, None);
        let neighbour = "2001:db8::2".parse().unwrap();
        assert_eq!((table.handshakes(), table.handshakes_of(neighbour)), (2, 2), "of peers, over TLS");
        table.shaken(one);
        table.shaken(one);
        assert_eq!((table.handshakes(), table.handshakes_of(source)), (1, 1));
        table.leave(two);
        table.leave(one);
        assert_eq!((table.handshakes(), table.handshakes_by_source.len()), (0, 0));
    }

    #[test]
    fn an_ipv6_subscriber_is_one_source() {
        let mut table = Table::default();
        for last in ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"] {
            let (queue, _) = channel(1);
            table.enter(Place::of(&flow(1, None), None), Some(last.parse().unwrap()), queue);
        }
        assert_eq!(table.of_source("2001:db8::99".parse().unwrap()), 2);
        table.leave(ConnectionId(1));
        assert_eq!(table.of_source("2001:db8::99".parse().unwrap()), 1);
    }
}
