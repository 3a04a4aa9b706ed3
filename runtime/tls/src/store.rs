//! Stores of any format.

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::ec_key::completed;
use crate::error::{Concern, StoreError};
use crate::{jks, pem, pkcs12};

/// What a file is, by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFormat {
    /// Text with `-----BEGIN …` sections.
    Pem,
    /// Java's own format up to Java 8.
    Jks,
    /// What `keytool` writes since Java 9, and `openssl pkcs12`.
    Pkcs12,
}

/// A certificate with those that vouch for it, and its private key.
#[derive(Debug)]
pub struct Identity {
    /// The owner's certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        let key = match chain.first() {
            Some(leaf) => completed(key, leaf),
            None => key,
        };
        Self { chain, key }
    }
}

impl StoreFormat {
    /// Recognises `bytes`. `named` is the setting (`ssl.keystore.type`): the files of JKS and PKCS12 are taken under either name, as Java does, and PEM text under any.
    ///
    /// # Errors
    /// A type that is none of the three; bytes that are no PEM text under the type PEM; bytes that are none of the three.
    pub(crate) fn recognise(bytes: &[u8], named: Option<&str>) -> Result<Self, StoreError> {
        let named = named.filter(|name| !name.is_empty());
        if let Some(name) = named
            && !["PEM", "JKS", "PKCS12"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
        {
            return Err(StoreError::new(
                Concern::Format,
                format!(
                    "'{name}' is not a type of store that can be read; allowed are PEM, JKS and PKCS12"
                ),
            ));
        }
        match bytes {
            _ if pem::is_pem(bytes) => Ok(Self::Pem),
            _ if named.is_some_and(|name| name.eq_ignore_ascii_case("PEM")) => Err(
                StoreError::store("the file holds no PEM text ('-----BEGIN …')"),
            ),
            [0xfe, 0xed, 0xfe, 0xed, ..] => Ok(Self::Jks),
            [0xce, 0xce, 0xce, 0xce, ..] => Err(StoreError::store(
                "it is a JCEKS store, which cannot be read; make a PKCS12 one of it: keytool -importkeystore -srckeystore FILE -srcstoretype JCEKS -destkeystore FILE.p12 -deststoretype PKCS12",
            )),
            // A DER sequence.
            [0x30, ..] => Ok(Self::Pkcs12),
            _ => Err(StoreError::store(
                "the file is neither PEM text nor a JKS or PKCS12 store",
            )),
        }
    }
}

/// The certificates that a trust store trusts. Without a password the integrity of a JKS store is not checked, as in Java, and a PKCS12 store opens only if it has neither a MAC nor encryption.
///
/// # Errors
/// The store is damaged, of another format, opens with another password, or has no certificates.
pub fn authorities(
    bytes: &[u8],
    named: Option<&str>,
    password: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let format = StoreFormat::recognise(bytes, named)?;
    let found = match format {
        StoreFormat::Pem => pem::certificates(bytes)?,
        StoreFormat::Jks => jks::Store::read(bytes, password)?.authorities(),
        StoreFormat::Pkcs12 => pkcs12::authorities(bytes, password)?,
    };
    if found.is_empty() {
        return Err(StoreError::store(match format {
            StoreFormat::Pem => "there is no '-----BEGIN CERTIFICATE-----' in it",
            StoreFormat::Jks | StoreFormat::Pkcs12 => "the store holds no certificate",
        }));
    }
    Ok(found)
}

/// Certificate and key of a key store. `key_password` (`ssl.key.password`) opens the key itself in PEM text and JKS; where it is absent, the store's `password` does, as it always does in PKCS12.
///
/// # Errors
/// The store is damaged, of another format, opens with another password, or has no private key with a certificate.
pub fn identity(
    bytes: &[u8],
    named: Option<&str>,
    password: Option<&str>,
    key_password: Option<&str>,
) -> Result<Identity, StoreError> {
    match StoreFormat::recognise(bytes, named)? {
        StoreFormat::Pem => pem::identity(bytes, bytes, key_password.or(password)),
        StoreFormat::Jks => jks::Store::read(bytes, password)?.identity(key_password.or(password)),
        StoreFormat::Pkcs12 => pkcs12::identity(bytes, password),
    }
}

/// Certificate and key from two PEM texts.
///
/// # Errors
/// A text has not what it should, or `key_password` does not open the key.
pub fn pem_identity(
    chain: &str,
    key: &str,
    key_password: Option<&str>,
) -> Result<Identity, StoreError> {
    pem::identity(chain.as_bytes(), key.as_bytes(), key_password)
}
