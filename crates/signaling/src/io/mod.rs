//! The shell: sockets of every transport. Datagrams are the engine's own ([`Socket`]); streams live in tokio and are joined to the
//! engine by bounded queues ([`Streams`]). It knows of SIP where one message ends, and nothing else.
#![expect(clippy::disallowed_types, reason = "the one place of this room with sockets")]

mod connection;
mod datagrams;
mod streams;
mod table;
mod tls;

pub use datagrams::Socket;
pub use streams::{BindError, StreamCounts, StreamLimits, Streams, StreamsConfig};
pub use tls::{Tls, TlsError, TlsFiles, VerifyClient, authorities};

/// Marks what a socket sends (RFC 2474, RFC 4594). A kernel that refuses is no reason not to send.
fn mark(socket: &socket2::Socket, v4: bool, dscp: u8) {
    let field = u32::from(dscp.min(63)) << 2;
    let marked = if v4 { socket.set_tos_v4(field) } else { socket.set_tclass_v6(field) };
    if let Err(error) = marked {
        tracing::debug!(%error, dscp, "a socket cannot be marked");
    }
}
