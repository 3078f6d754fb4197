//! The control API: HTTP and WebSocket over a unix socket.
#![forbid(unsafe_code)]
