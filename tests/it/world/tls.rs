//! TLS in front of a plyr, as a public server has it: a name of its own and an authority that vouches for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::agent::Agent;
use super::pds;

/// Decrypts, and passes on to a plyr's own port.
pub struct Terminator {
    /// `https://plyr.internal:4433`.
    pub url: String,
    host: &'static str,
    port: u16,
    ca_pem: String,
    target: Arc<AtomicU16>,
    dir: tempfile::TempDir,
}

impl Terminator {
    /// At a free port, for this name. The target is named later: plyr needs to know this address to start.
    pub async fn start(host: &'static str) -> Terminator {
        pds::rustls_provider();
        let ca_key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // A certificate whose subject were its issuer's would count as signed by itself.
        params.distinguished_name.push(rcgen::DnType::CommonName, "the tests' authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = params.self_signed(&ca_key).expect("a certificate").pem();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config =
            config.with_single_cert(vec![certificate.der().clone()], key.into()).expect("they fit together");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let target = Arc::new(AtomicU16::new(0));
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), target.clone()));
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("ca.pem"), &ca_pem).expect("it is ours");
        Terminator { url: format!("https://{host}:{port}"), host, port, ca_pem, target, dir }
    }

    /// The authority's certificate, as a file.
    pub fn ca_file(&self) -> String {
        self.dir.path().join("ca.pem").display().to_string()
    }

    /// Where to pass on to: `http://127.0.0.1:PORT`.
    pub fn target(&self, url: &str) {
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        self.target.store(port, Ordering::Relaxed);
    }

    /// A browser that knows the way and trusts the authority.
    pub fn agent(&self) -> Agent {
        let root = reqwest::Certificate::from_pem(self.ca_pem.as_bytes()).expect("a certificate");
        let address = ([127, 0, 0, 1], self.port).into();
        Agent::with(reqwest::Client::builder().tls_certs_only([root]).resolve(self.host, address))
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, target: Arc<AtomicU16>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, port) = (acceptor.clone(), target.load(Ordering::Relaxed));
        tokio::spawn(async move {
            let mut down = acceptor.accept(stream).await?;
            let mut up = TcpStream::connect(("127.0.0.1", port)).await?;
            copy_bidirectional(&mut down, &mut up).await
        });
    }
}
