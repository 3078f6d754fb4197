//! Who we are and whom we believe over TLS: certificates from files, read anew on demand, and the identity check of RFC 5922.

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject as _},
    server::{ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

/// Where the system keeps the authorities it believes, by distribution.
const SYSTEM_CA: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Which files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate in PEM, then those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub private_key: PathBuf,
    /// The authorities we believe, in PEM; the system's when absent.
    pub ca: Option<PathBuf>,
    /// What we ask of those who connect to us.
    pub verify_client: VerifyClient,
}

/// Whether who connects to us must show a certificate of an authority we believe.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum VerifyClient {
    /// We ask for none.
    #[default]
    None,
    /// We ask; who shows one must show a good one.
    Optional,
    /// Nobody gets in without.
    Required,
}

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not readable, or not PEM.
    #[error("found no PEM in `{}` ({error}), expected {expected}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What the system says.
        error: pem::Error,
    },
    /// PEM, but not what is wanted.
    #[error("found nothing of use in `{}`, expected {expected}", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
    /// Certificate and key are no pair, or the library does not know their kind.
    #[error("certificate `{}` and private key `{}` cannot be used together: {error}", certificate.display(), private_key.display())]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        private_key: PathBuf,
        /// What the library says.
        error: Error,
    },
    /// The library refuses what was found.
    #[error("the authorities in `{}` cannot be used: {error}", path.display())]
    Authorities {
        /// Which.
        path: PathBuf,
        /// What the library says.
        error: String,
    },
}

/// What new connections use: replaced as a whole by [`Tls::reload`], while open connections keep what they began with.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    setup: RwLock<Setup>,
}

#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let setup = RwLock::new(read(&files)?);
        Ok(Self { files, setup })
    }

    /// Reads the files anew. When they cannot be used, what was there stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let setup = read(&self.files)?;
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = setup;
        Ok(())
    }

    pub(super) fn setup(&self) -> Setup {
        self.setup.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(files: &TlsFiles) -> Result<Setup, TlsError> {
    let chain = certificates(&files.certificate, "our certificate")?;
    let expected = "a private key";
    let key = PrivateKeyDer::from_pem_file(&files.private_key).map_err(|error| TlsError::Read {
        path: files.private_key.clone(),
        expected,
        error,
    })?;
    let roots = Arc::new(authorities(files.ca.as_deref())?);
    let provider = Arc::new(ring::default_provider());
    let pair = |error| TlsError::Pair {
        certificate: files.certificate.clone(),
        private_key: files.private_key.clone(),
        error,
    };
    let clients = clients(files, &roots, &provider)?;
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(pair)?;
    let verifier = Identity { roots, algorithms: provider.signature_verification_algorithms };
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, key)
        .map_err(pair)?;
    Ok(Setup { server: Arc::new(server), client: Arc::new(client) })
}

fn certificates(path: &Path, expected: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error| TlsError::Read { path: path.to_owned(), expected, error };
    let all: Vec<_> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
    if all.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned(), expected });
    }
    Ok(all)
}

/// The authorities in a PEM file, or those that the system believes. None are an error of the file's, and of the system's a warning.
pub fn authorities(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let system = || SYSTEM_CA.iter().map(Path::new).find(|path| path.is_file());
    let Some(path) = file.or_else(system) else {
        tracing::warn!("no authorities were found to believe: connections of ours over TLS will fail (`ca`)");
        return Ok(store);
    };
    let (taken, _) = store.add_parsable_certificates(certificates(path, "certificates of authorities")?);
    if taken == 0 {
        return Err(TlsError::Empty { path: path.to_owned(), expected: "certificates of authorities" });
    }
    Ok(store)
}

fn clients(
    files: &TlsFiles,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if files.verify_client == VerifyClient::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
    let builder = match files.verify_client {
        VerifyClient::Required => builder,
        _ => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| TlsError::Authorities {
        path: files.ca.clone().unwrap_or_else(|| SYSTEM_CA[0].into()),
        error: error.to_string(),
    })
}

/// Believes a server whose certificate an authority of ours has signed and which stands for the SIP domain that we asked for.
#[derive(Debug)]
struct Identity {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Identity {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, self.algorithms.all)?;
        let certificate = webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let stands = match server_name {
            ServerName::DnsName(domain) => {
                let (uris, names) = (certificate.valid_uri_names(), certificate.valid_dns_names());
                stands_for(domain.as_ref(), uris, names)
            }
            // An address is no SIP domain; a certificate may still name it.
            name => certificate.verify_is_valid_for_subject_name(name).is_ok(),
        };
        if stands {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// RFC 5922 sections 7.1 and 7.2: `sip:` URIs without a user are what a certificate stands for; where it has none, its DNS names
/// are. Names are compared as a whole, in any case; a wildcard is a name like any other.
fn stands_for<'a>(domain: &str, uris: impl Iterator<Item = &'a str>, mut names: impl Iterator<Item = &'a str>) -> bool {
    let domain = domain.trim_end_matches('.');
    let mut any = false;
    for uri in uris {
        let Some(identity) = identity(uri) else { continue };
        any = true;
        if identity.eq_ignore_ascii_case(domain) {
            return true;
        }
    }
    !any && names.any(|name| name.eq_ignore_ascii_case(domain))
}

/// The domain of a `sip:` URI that names no user.
fn identity(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    rest.split([';', '?', ':']).next().filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(domain: &str, uris: &[&str], names: &[&str]) -> bool {
        stands_for(domain, uris.iter().copied(), names.iter().copied())
    }

    #[test]
    fn rfc5922_7_1_sip_uris_count_before_dns_names() {
        assert!(stands("example.com", &["sip:example.com"], &[]));
        assert!(stands("EXAMPLE.com", &["SIP:Example.COM"], &[]), "case does not matter");
        assert!(!stands("pbx.example.com", &["sip:example.com"], &["pbx.example.com"]), "the URI alone counts");
        assert!(stands("pbx.example.com", &[], &["other.net", "pbx.example.com"]));
        assert!(
            stands("pbx.example.com", &["sip:anna@example.com", "https://example.com"], &["pbx.example.com"]),
            "a user's URI and another scheme's are no identity of a domain"
        );
        assert!(!stands("example.com", &["sip:anna@example.com"], &[]));
        assert!(!stands("example.com", &[], &[]));
    }

    #[test]
    fn rfc5922_7_2_wildcards_and_subdomains_match_nothing() {
        assert!(!stands("pbx.example.com", &[], &["*.example.com"]));
        assert!(!stands("pbx.example.com", &[], &["example.com"]));
        assert!(!stands("pbx.example.com", &["sip:*.example.com"], &[]));
        assert!(!stands("example.com", &[], &["pbx.example.com"]));
    }
}
