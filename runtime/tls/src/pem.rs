//! PEM text.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::Decode as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::Identity;
use crate::error::{Concern, StoreError};

const BEGIN: &[u8] = b"-----BEGIN ";

pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

fn holds(bytes: &[u8], label: &str) -> bool {
    bytes
        .windows(label.len())
        .any(|window| window == label.as_bytes())
}

/// All certificates of a text; none is no error.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::store(format!("a certificate is not valid PEM: {error}")))
}

pub(crate) fn identity(
    chain: &[u8],
    key: &[u8],
    password: Option<&str>,
) -> Result<Identity, StoreError> {
    let chain = certificates(chain)?;
    if chain.is_empty() {
        return Err(StoreError::store(
            "there is no '-----BEGIN CERTIFICATE-----' in it",
        ));
    }
    Ok(Identity::new(chain, private_key(key, password)?))
}

fn private_key(text: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, StoreError> {
    if holds(text, "Proc-Type: 4,ENCRYPTED") {
        return Err(StoreError::store(
            "the private key is encrypted in OpenSSL's old way, which cannot be read; convert it: openssl pkcs8 -topk8 -in KEY.pem -out NEW.pem",
        ));
    }
    if holds(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return decrypted(text, password);
    }
    // The parser's error could quote the key.
    PrivateKeyDer::from_pem_slice(text)
        .map_err(|_| StoreError::store("there is no usable '-----BEGIN PRIVATE KEY-----' in it"))
}

/// The section `ENCRYPTED PRIVATE KEY`, which the reader of the other sections does not know.
fn decrypted(text: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, StoreError> {
    let Some(password) = password else {
        return Err(StoreError::new(
            Concern::KeyPassword,
            "it is missing, but the private key is encrypted",
        ));
    };
    let damaged = || StoreError::store("the encrypted private key is not valid PEM");
    let text = std::str::from_utf8(text).map_err(|_| damaged())?;
    let body = text
        .split_once("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        .and_then(|(_, rest)| rest.split_once("-----END ENCRYPTED PRIVATE KEY-----"))
        .ok_or_else(damaged)?
        .0;
    let body: String = body.split_ascii_whitespace().collect();
    let der = BASE64_STANDARD.decode(body).map_err(|_| damaged())?;
    let sealed = EncryptedPrivateKeyInfoRef::from_der(&der).map_err(|_| {
        StoreError::store(
            "the private key is encrypted in a way that cannot be read (PBES2 with AES or 3DES can); convert it: openssl pkcs8 -topk8 -in KEY.pem -out NEW.pem",
        )
    })?;
    let opened = sealed
        .decrypt(password)
        .map_err(|_| StoreError::new(Concern::KeyPassword, "it does not open the private key"))?;
    Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
}

/// PEM text of certificates, for libraries that take nothing else.
pub fn certificates_to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut out = String::new();
    for certificate in certificates {
        section("CERTIFICATE", certificate, &mut out);
    }
    out
}

/// PEM text of a key; overwritten in memory when dropped.
pub fn key_to_pem(key: &PrivateKeyDer<'_>) -> Zeroizing<String> {
    let (label, der) = match key {
        PrivateKeyDer::Pkcs1(key) => ("RSA PRIVATE KEY", key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => ("EC PRIVATE KEY", key.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(key) => ("PRIVATE KEY", key.secret_pkcs8_der()),
        // The type may grow: all of its forms so far are above.
        other => ("PRIVATE KEY", other.secret_der()),
    };
    // Room for all of it, so that no part stays behind where the text grew out of.
    let mut out = Zeroizing::new(String::with_capacity(der.len() * 3 / 2 + 128));
    section(label, der, &mut out);
    out
}

fn section(label: &str, der: &[u8], out: &mut String) {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
}
