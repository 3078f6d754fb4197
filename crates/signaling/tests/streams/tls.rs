//! TLS: who is believed (RFC 5922), who must show a certificate, and what a reload changes.

use crate::shell::{Hand, PATIENCE, address, connect_from, failure, message, options, shell_of};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, SanType};
use signaling::{
    Flow, Transport,
    io::{StreamCounts, StreamLimits, Streams, Tls, TlsError, TlsFiles, VerifyClient},
};
use std::{fs, path::Path, sync::Arc};

/// An authority of our own, and a folder for what it signs.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Signs a certificate for these names into `NAME.pem` and `NAME.key`.
    fn sign(&self, file: &str, names: Vec<SanType>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.at(&format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.at(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn files(&self, file: &str, ca: &Path, verify_client: VerifyClient) -> TlsFiles {
        TlsFiles {
            certificate: self.at(&format!("{file}.pem")),
            private_key: self.at(&format!("{file}.key")),
            ca: Some(ca.to_owned()),
            verify_client,
        }
    }

    fn shell(&self, names: Vec<SanType>, verify_client: VerifyClient) -> (Streams, Arc<Tls>) {
        self.bounded(names, verify_client, StreamLimits::default())
    }

    fn bounded(&self, names: Vec<SanType>, verify: VerifyClient, limits: StreamLimits) -> (Streams, Arc<Tls>) {
        self.sign("it", names);
        let tls = Arc::new(Tls::load(self.files("it", &self.at("ca.pem"), verify)).unwrap());
        (shell_of(Transport::Tls, "127.0.0.1:0", limits, Some(Arc::clone(&tls))), tls)
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

fn send(from: &mut Streams, to: &Streams, name: Option<&str>) -> Flow {
    let flow = Flow::new(Transport::Tls, address(from), address(to));
    let name: Option<Arc<str>> = name.map(Arc::from);
    from.send(&flow, name.as_ref(), options(1).into());
    flow
}

#[test]
fn rfc5922_7_a_peer_is_believed_by_the_name_that_was_asked_for() {
    let ours = Authority::new();
    let theirs = Authority::new();
    let (mut one, _) = {
        ours.sign("us", vec![dns("us.example")]);
        let tls = Tls::load(ours.files("us", &theirs.at("ca.pem"), VerifyClient::None)).unwrap();
        (shell_of(Transport::Tls, "127.0.0.1:0", StreamLimits::default(), Some(Arc::new(tls))), ())
    };
    let carrier = "carrier.example";
    for (names, asked, believed) in [
        (vec![dns(carrier)], Some(carrier), true),
        (vec![uri("sip:carrier.example"), dns("edge.carrier.example")], Some("Carrier.Example"), true),
        (vec![uri("sip:carrier.example"), dns("edge.carrier.example")], Some("edge.carrier.example"), false),
        (vec![dns("*.example")], Some(carrier), false),
        (vec![dns("other.example")], Some(carrier), false),
        (vec![dns(carrier)], None, false),
        (vec![SanType::IpAddress("127.0.0.1".parse().unwrap())], None, true),
    ] {
        let told = format!("{names:?} for {asked:?}");
        let (mut two, _) = theirs.shell(names, VerifyClient::None);
        let flow = send(&mut one, &two, asked);
        if believed {
            let (back, came) = message(&mut two);
            assert_eq!((back.transport, came), (Transport::Tls, options(1)), "{told}");
        } else {
            assert_eq!(failure(&mut one).remote, flow.remote, "{told}");
        }
    }
    // A name that is right under an authority that is not ours.
    let (two, _) = ours.shell(vec![dns(carrier)], VerifyClient::None);
    send(&mut one, &two, Some(carrier));
    failure(&mut one);
}

#[test]
fn client_certificates_are_asked_for_as_configured() {
    let authority = Authority::new();
    let stranger = Authority::new();
    for (verify, ours, theirs) in
        [(VerifyClient::None, true, true), (VerifyClient::Optional, true, false), (VerifyClient::Required, true, false)]
    {
        let (mut server, _) = authority.shell(vec![dns("server.example")], verify);
        for (issuer, gets_in) in [(&authority, ours), (&stranger, theirs)] {
            issuer.sign("client", vec![dns("client.example")]);
            let files = issuer.files("client", &authority.at("ca.pem"), VerifyClient::None);
            let tls = Some(Arc::new(Tls::load(files).unwrap()));
            let mut client = shell_of(Transport::Tls, "127.0.0.1:0", StreamLimits::default(), tls);
            send(&mut client, &server, Some("server.example"));
            if gets_in {
                message(&mut server);
            } else {
                failure(&mut client);
            }
        }
    }
}

#[test]
fn a_reload_is_for_new_connections_and_a_broken_file_changes_nothing() {
    let authority = Authority::new();
    let (mut server, tls) = authority.shell(vec![dns("old.example")], VerifyClient::None);
    authority.sign("client", vec![dns("client.example")]);
    let files = authority.files("client", &authority.at("ca.pem"), VerifyClient::None);
    let client_tls = Some(Arc::new(Tls::load(files).unwrap()));
    let mut client = shell_of(Transport::Tls, "127.0.0.1:0", StreamLimits::default(), client_tls);
    send(&mut client, &server, Some("old.example"));
    message(&mut server);
    authority.sign("it", vec![dns("new.example")]);
    tls.reload().unwrap();
    send(&mut client, &server, Some("new.example"));
    message(&mut server);
    // The old connection goes on.
    send(&mut client, &server, Some("old.example"));
    message(&mut server);
    assert_eq!(server.counts().accepted, 2);
    fs::write(authority.at("it.key"), "no key").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    let mut plain = Hand::connect(&server);
    plain.say(&options(9));
    plain.closed();
    while server.counts().open > 2 {
        std::thread::yield_now();
    }
    assert_eq!(server.counts().failed, 1, "what is no TLS gets nowhere");
}

#[test]
fn files_that_do_not_fit_together_say_so() {
    let authority = Authority::new();
    authority.sign("one", vec![dns("one.example")]);
    authority.sign("two", vec![dns("two.example")]);
    let mixed = TlsFiles {
        private_key: authority.at("two.key"),
        ..authority.files("one", &authority.at("ca.pem"), VerifyClient::None)
    };
    assert!(matches!(Tls::load(mixed), Err(TlsError::Pair { .. })));
    let absent = authority.files("three", &authority.at("ca.pem"), VerifyClient::None);
    assert!(Tls::load(absent).unwrap_err().to_string().contains("three.pem"));
}

/// Waits until the shell says so.
fn until_counts(streams: &Streams, wanted: impl Fn(&StreamCounts) -> bool) {
    let begun = std::time::Instant::now();
    while !wanted(&streams.counts()) {
        assert!(begun.elapsed() < 3 * PATIENCE, "{:?}", streams.counts());
        std::thread::yield_now();
    }
}

#[test]
fn handshakes_at_once_are_bounded_and_no_source_has_them_all() {
    let authority = Authority::new();
    // Of ten, one is kept for those whom a trunk allows.
    let limits = StreamLimits { handshakes: 10, handshakes_per_source: 4, ..StreamLimits::default() };
    let (mut streams, _) = authority.bounded(vec![dns("us.example")], VerifyClient::None, limits);
    let to = address(&streams);
    let mut greedy: Vec<Hand> = (0..4).map(|_| connect_from("127.0.0.2", to)).collect();
    until_counts(&streams, |counts| counts.handshakes == 4);
    for _ in 0..20 {
        assert_eq!(connect_from("127.0.0.2", to).closed(), 0, "its share is used up");
    }
    assert_eq!((streams.counts().unshaken, streams.counts().turned_away), (20, 0));
    let mut others: Vec<Hand> = (0..4).map(|_| connect_from("127.0.0.3", to)).collect();
    others.push(connect_from("127.0.0.4", to));
    until_counts(&streams, |counts| counts.handshakes == 9);
    assert_eq!(connect_from("127.0.0.5", to).closed(), 0, "all but the last tenth are used up");
    let known = connect_from("127.0.0.9", to);
    until_counts(&streams, |counts| counts.handshakes == 10);
    assert_eq!(connect_from("127.0.0.9", to).closed(), 0, "the bound holds for everybody");
    assert_eq!(streams.counts().unshaken, 22);
    // Who goes makes room: others get in and are heard.
    drop((known, greedy.pop(), greedy.pop()));
    until_counts(&streams, |counts| counts.handshakes == 7);
    authority.sign("peer", vec![dns("peer.example")]);
    let tls = Tls::load(authority.files("peer", &authority.at("ca.pem"), VerifyClient::None)).unwrap();
    let mut peer = shell_of(Transport::Tls, "127.0.0.1:0", StreamLimits::default(), Some(Arc::new(tls)));
    send(&mut peer, &streams, Some("us.example"));
    message(&mut streams);
    // What is secured is no handshake any more.
    assert_eq!((streams.counts().handshakes, streams.counts().open), (7, 8));
}

#[test]
fn a_handshake_that_does_not_come_to_an_end_is_ended() {
    let authority = Authority::new();
    let limits = StreamLimits { handshake: std::time::Duration::from_millis(300), ..StreamLimits::default() };
    let (streams, _) = authority.bounded(vec![dns("us.example")], VerifyClient::None, limits);
    let mut slow = connect_from("127.0.0.2", address(&streams));
    assert_eq!(slow.closed(), 0);
    until_counts(&streams, |counts| (counts.handshakes, counts.open, counts.idle) == (0, 0, 1));
}
