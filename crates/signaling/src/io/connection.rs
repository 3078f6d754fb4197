//! One stream: messages of the peer go up whole, queued messages go down, line ends keep it alive (RFC 5626 section 4.4.1).

use super::streams::{Shared, StreamLimits};
use crate::{Flow, Input};
use bytes::{Bytes, BytesMut};
use sip_codec::{Framer, Limits};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    sync::mpsc::{Receiver, Sender},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::codec::Decoder as _;

/// Bytes read at once.
const CHUNK: usize = 2_048;
/// Queued messages that are written at once.
const AT_ONCE: usize = 32;
/// Pongs owed at once; more pings than that were not waited for.
const PONGS: u32 = 4;
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// Who opened a stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// We did: we ping.
    Us,
    /// The peer did: it pings, and must say something soon.
    Peer,
}

/// Why a stream ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum End {
    #[error("the peer closed it")]
    Closed,
    #[error("it broke")]
    Broken,
    #[error("no message could be framed")]
    Garbage,
    #[error("no whole message came in time")]
    Idle,
    #[error("the peer does not read")]
    Slow,
    #[error("we gave it up")]
    Dropped,
}

/// Carries messages both ways until either way ends.
pub(super) async fn carry<S: AsyncRead + AsyncWrite>(
    stream: S,
    flow: Flow,
    opener: Opener,
    (queue, queued): (Sender<Bytes>, Receiver<Bytes>),
    shared: &Shared,
) -> End {
    let (reading, writing) = split(stream);
    tokio::select! {
        end = read(reading, flow, opener, queue, shared) => end,
        end = write(writing, opener, queued, &shared.limits) => end,
    }
}

async fn read<S: AsyncRead>(
    mut stream: ReadHalf<S>,
    flow: Flow,
    opener: Opener,
    queue: Sender<Bytes>,
    shared: &Shared,
) -> End {
    // The queue must end when the table gives the stream up: only its own sender may hold it.
    let pongs = queue.downgrade();
    drop(queue);
    let limits = &shared.limits;
    let mut framer = Framer::new(Limits::default());
    let mut buffer = BytesMut::new();
    // A whole message is awaited: the first of a peer's, or one that has begun.
    let mut awaited = opener == Opener::Peer;
    let mut due = awaited.then(|| Instant::now() + limits.first_message);
    let patience = (opener == Opener::Peer && !limits.idle.is_zero()).then_some(limits.idle);
    loop {
        buffer.reserve(CHUNK);
        let reading = stream.read_buf(&mut buffer);
        let read = match due {
            Some(due) => match timeout_at(due, reading).await {
                Ok(read) => read,
                Err(_) => return End::Idle,
            },
            None => reading.await,
        };
        match read {
            Ok(0) => return End::Closed,
            Ok(_) => {}
            Err(_) => return End::Broken,
        }
        loop {
            match framer.decode(&mut buffer) {
                Ok(Some(bytes)) => {
                    (awaited, due) = (false, None);
                    if shared.hand_up(Input::Received { flow, bytes }).await.is_err() {
                        return End::Dropped;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%flow, %error, "a stream cannot go on");
                    return End::Garbage;
                }
            }
        }
        let pings = framer.pings().min(PONGS);
        if pings > 0 && opener == Opener::Peer {
            for _ in 0..pings {
                if pongs.upgrade().is_none_or(|queue| queue.try_send(Bytes::from_static(PONG)).is_err()) {
                    return End::Slow;
                }
            }
        }
        // A message that has begun must end in time, however slowly its bytes drip.
        let partial = buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
        if partial && !awaited {
            (awaited, due) = (true, Some(Instant::now() + limits.message));
        } else if !awaited {
            due = patience.map(|idle| Instant::now() + idle);
        }
    }
}

async fn write<S: AsyncWrite>(
    mut stream: WriteHalf<S>,
    opener: Opener,
    mut queued: Receiver<Bytes>,
    limits: &StreamLimits,
) -> End {
    let mut batch = Vec::with_capacity(AT_ONCE);
    // A stream of ours is pinged when it has been silent for so long; one that the peer opened is the peer's to keep.
    let patience = if opener == Opener::Us { limits.ping } else { Duration::MAX };
    loop {
        match timeout(patience, queued.recv_many(&mut batch, AT_ONCE)).await {
            Ok(0) => return End::Dropped,
            Ok(_) => {}
            Err(_) => batch.push(Bytes::from_static(PING)),
        }
        let written = timeout(limits.write, async {
            match &batch[..] {
                [one] => stream.write_all(one).await?,
                many => stream.write_all(&many.concat()).await?,
            }
            stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => batch.clear(),
            Ok(Err(_)) => return End::Broken,
            Err(_) => return End::Slow,
        }
    }
}
