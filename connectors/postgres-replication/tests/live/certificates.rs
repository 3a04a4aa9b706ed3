//! Keys and certificates: an authority, a server `localhost`, a client `u_cert`, and an authority nobody asked.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) other_authority: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) server_key: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) client_key: PathBuf,
    /// The same key, PKCS#8 in DER.
    pub(crate) client_key_der: PathBuf,
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), Issuer::new(params, key))
}

fn signed(name: &str, issuer: &Issuer<'static, KeyPair>) -> (String, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    (certificate.pem(), key)
}

impl Certificates {
    pub(crate) fn make(directory: &Path) -> Self {
        let write = |name: &str, content: &[u8]| {
            let path = directory.join(name);
            fs::write(&path, content).expect("writable");
            path
        };
        let (authority_pem, issuer) = authority("authority");
        let (other_pem, _) = authority("another authority");
        let (server, server_key) = signed("localhost", &issuer);
        let (client, client_key) = signed("u_cert", &issuer);
        Certificates {
            authority: write("authority.pem", authority_pem.as_bytes()),
            other_authority: write("other.pem", other_pem.as_bytes()),
            server: write("server.pem", server.as_bytes()),
            server_key: write("server.key", server_key.serialize_pem().as_bytes()),
            client: write("client.pem", client.as_bytes()),
            client_key: write("client.key", client_key.serialize_pem().as_bytes()),
            client_key_der: write("client.der", &client_key.serialize_der()),
        }
    }
}
