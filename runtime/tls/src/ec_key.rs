//! Keys of elliptic curves, completed.

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sec1::EcPrivateKey;

/// id-ecPublicKey
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Adds the public key to a private one that comes without: Java writes such keys, ring reads only the others. The public key is the certificate's, so a key that does not belong to it
/// is found out where the two are compared. What is no such key, or cannot be read, is handed back as it is.
pub(crate) fn completed(
    key: PrivateKeyDer<'static>,
    leaf: &CertificateDer<'_>,
) -> PrivateKeyDer<'static> {
    match rebuilt(&key, leaf) {
        Some(rebuilt) => PrivateKeyDer::Pkcs8(rebuilt),
        None => key,
    }
}

fn rebuilt(
    key: &PrivateKeyDer<'_>,
    leaf: &CertificateDer<'_>,
) -> Option<PrivatePkcs8KeyDer<'static>> {
    let inner = match key {
        PrivateKeyDer::Pkcs8(key) => {
            let info = PrivateKeyInfoRef::from_der(key.secret_pkcs8_der()).ok()?;
            (info.algorithm.oid == EC).then(|| info.private_key.as_bytes())?
        }
        PrivateKeyDer::Sec1(key) => key.secret_sec1_der(),
        _ => return None,
    };
    let inner = EcPrivateKey::from_der(inner).ok()?;
    if inner.public_key.is_some() {
        return None;
    }
    let certificate = ParsedCertificate::try_from(leaf).ok()?;
    let public = certificate.subject_public_key_info();
    let public = SubjectPublicKeyInfoRef::from_der(&public).ok()?;
    if public.algorithm.oid != EC {
        return None;
    }
    let whole = EcPrivateKey {
        private_key: inner.private_key,
        parameters: None,
        public_key: public.subject_public_key.as_bytes(),
    };
    let whole = zeroize::Zeroizing::new(whole.to_der().ok()?);
    let octets = OctetStringRef::new(&whole).ok()?;
    let info = PrivateKeyInfoRef::new(public.algorithm, octets);
    Some(PrivatePkcs8KeyDer::from(info.to_der().ok()?))
}
