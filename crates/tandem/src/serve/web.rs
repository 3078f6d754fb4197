//! Asking other systems over HTTP, with TLS where the address says so. One connection a question: they are few.

use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, Uri, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, crypto::ring, pki_types::ServerName},
};

/// The largest answer that is read.
const LARGEST: usize = 1 << 20;

/// Asks; made once, for the authorities it believes are read from a file.
#[derive(Clone)]
pub(super) struct Web {
    tls: TlsConnector,
}

impl Web {
    /// Believes the authorities of a PEM file, or those that the system believes.
    pub(super) fn new(ca: Option<&Path>) -> anyhow::Result<Self> {
        let roots = signaling::io::authorities(ca)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// The body of a 200, within `patience`; every other status is an error that says it.
    pub(super) async fn get(&self, url: &Uri, token: Option<&str>, patience: Duration) -> anyhow::Result<Bytes> {
        let asked = async {
            let authority = url.authority().context("the address names no host")?;
            let secure = url.scheme_str() == Some("https");
            let host = authority.host().trim_start_matches('[').trim_end_matches(']');
            let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let stream = TcpStream::connect((host, port)).await.context("cannot connect")?;
            if !secure {
                return exchange(stream, url, token).await;
            }
            let name = ServerName::try_from(host.to_owned()).context("no name that a certificate can show")?;
            exchange(self.tls.connect(name, stream).await.context("no TLS")?, url, token).await
        };
        tokio::time::timeout(patience, asked).await.map_err(|_| anyhow::anyhow!("no answer within {patience:?}"))?
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Uri,
    token: Option<&str>,
) -> anyhow::Result<Bytes> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let mut request = Request::get(url.path_and_query().map_or("/", |it| it.as_str()))
        .header("host", url.authority().map_or("", |authority| authority.as_str()))
        .header("accept", "application/json")
        .header("user-agent", concat!("tandem/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await;
    let collected = match response {
        Ok(response) => {
            let status = response.status();
            ensure!(status == 200, "it answered {status}");
            Limited::new(response.into_body(), LARGEST).collect().await
        }
        Err(error) => bail!("no answer: {error}"),
    };
    driver.abort();
    Ok(collected.map_err(|error| anyhow::anyhow!("the answer could not be read: {error}"))?.to_bytes())
}
