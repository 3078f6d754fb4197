//! SIP over a stream, by hand: what a test says and hears on TCP and TLS, word for word.

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use sip_codec::{Codec, Message, Method, Name};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::codec::Framed;

/// What a message may take to come.
const SOON: Duration = Duration::from_secs(10);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One end of a stream.
pub struct Wire {
    framed: Framed<Box<dyn Stream>, Codec>,
    /// `TCP` or `TLS`, as in Via.
    transport: &'static str,
    local: SocketAddr,
    /// The certificate that the other end has shown.
    peer: Option<CertificateDer<'static>>,
}

/// Certificates of a test: an authority, and what it signs.
pub struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// An authority of its own; `ca.pem` in the folder is what others must believe.
    pub fn new(folder: &Path) -> Result<Self> {
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        // OpenSSL takes a certificate whose issuer has its own name for one that signed itself.
        params.distinguished_name.push(rcgen::DnType::CommonName, "the authority of a test");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate()?)?;
        std::fs::write(folder.join("ca.pem"), issuer.pem())?;
        Ok(Self { issuer })
    }

    /// The certificate that others must believe.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes `NAME.pem` and `NAME.key`: a certificate for a host name or an address.
    pub fn sign(&self, folder: &Path, name: &str, host: &str) -> Result<()> {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(vec![host.to_owned()])?.signed_by(&key, &self.issuer)?;
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }
}

impl Wire {
    /// Connects over TCP.
    pub async fn tcp(to: SocketAddr) -> Result<Self> {
        Self::over(TcpStream::connect(to).await?)
    }

    /// Connects over TLS, believing `ca.pem` of the folder.
    pub async fn tls(to: SocketAddr, folder: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(folder.join("ca.pem"))? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(to).await?;
        let local = stream.local_addr()?;
        let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::from(to.ip()), stream).await?;
        let peer =
            stream.get_ref().1.peer_certificates().and_then(|all| all.first()).map(|one| one.clone().into_owned());
        Ok(Self { framed: Framed::new(Box::new(stream), Codec::default()), transport: "TLS", local, peer })
    }

    /// The next that connects over TCP.
    pub async fn accept_tcp(listener: &TcpListener) -> Result<Self> {
        let (stream, _) = tokio::time::timeout(SOON, listener.accept()).await.context("nobody connected")??;
        Ok(Self { local: listener.local_addr()?, ..Self::over(stream)? })
    }

    /// The next that connects over TLS; `NAME.pem` and `NAME.key` of the folder are shown.
    pub async fn accept_tls(listener: &TcpListener, folder: &Path, name: &str) -> Result<Self> {
        let acceptor = acceptor(folder, name)?;
        let (stream, _) = tokio::time::timeout(SOON, listener.accept()).await.context("nobody connected")??;
        let local = listener.local_addr()?;
        let stream = acceptor.accept(stream).await?;
        Ok(Self { framed: Framed::new(Box::new(stream), Codec::default()), transport: "TLS", local, peer: None })
    }

    fn over(stream: TcpStream) -> Result<Self> {
        let local = stream.local_addr()?;
        Ok(Self { framed: Framed::new(Box::new(stream), Codec::default()), transport: "TCP", local, peer: None })
    }

    /// The certificate that the other end has shown.
    pub fn peer(&self) -> Option<&CertificateDer<'static>> {
        self.peer.as_ref()
    }

    /// Our address, as Via and Contact say it.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Says something word for word.
    pub async fn say(&mut self, text: String) -> Result<()> {
        Ok(self.framed.send(bytes::Bytes::from(text)).await?)
    }

    /// The next message.
    pub async fn hear(&mut self) -> Result<Message> {
        let heard = tokio::time::timeout(SOON, self.framed.next()).await.context("nothing came")?;
        Ok(heard.context("the stream was closed")??)
    }

    /// The next request of a method; responses and other requests before it are passed over.
    pub async fn request(&mut self, method: Method) -> Result<Message> {
        for _ in 0..20 {
            let message = self.hear().await?;
            if message.is_request() && message.method() == Some(method) {
                return Ok(message);
            }
        }
        bail!("no {} came", method.text())
    }

    /// The next final response.
    pub async fn final_response(&mut self) -> Result<Message> {
        for _ in 0..20 {
            let message = self.hear().await?;
            if message.status().is_some_and(|status| status >= 200) {
                return Ok(message);
            }
        }
        bail!("no final response came")
    }

    /// A request; `within` is the To header of the dialog, without its name.
    pub async fn ask(&mut self, method: &str, uri: &str, cseq: u32, to: &str, body: &str) -> Result<()> {
        let (transport, local) = (self.transport, self.local);
        let parameter = transport.to_ascii_lowercase();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.say(format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bK{method}{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:+4930123@{local}>;tag=hand\r\nTo: {to}\r\nCall-ID: {local}-by-hand\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:+4930123@{local};transport={parameter}>\r\n{kind}Content-Length: {length}\r\n\r\n{body}",
            length = body.len(),
        ))
        .await
    }

    /// Answers a request.
    pub async fn answer(&mut self, request: &Message, status: &str, body: &str) -> Result<()> {
        let (local, parameter) = (self.local, self.transport.to_ascii_lowercase());
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            for value in request.raw(name) {
                let value = String::from_utf8_lossy(value);
                let tag = if name == Name::To && !value.contains(";tag=") { ";tag=agent" } else { "" };
                text.push_str(&format!("{}: {value}{tag}\r\n", name.text().unwrap_or_default()));
            }
        }
        if !body.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!(
            "Contact: <sip:agent@{local};transport={parameter}>\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        self.say(text).await
    }
}

/// Shows `NAME.pem` and `NAME.key` of a folder to whoever connects.
pub(crate) fn acceptor(folder: &Path, name: &str) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(folder.join(format!("{name}.pem")))?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A session description with PCMU at an address that nobody sends from.
pub fn session(address: SocketAddr) -> String {
    let (ip, family) = (address.ip(), if address.is_ipv4() { "IP4" } else { "IP6" });
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\n"
    )
}
