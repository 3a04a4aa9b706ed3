//! Java's own key store format, versions 1 and 2.
//!
//! Numbers are big-endian: magic, version, number of entries; per entry its tag, alias, date and content; at the end a SHA-1 digest over the password, a constant and all before it.
//! A private key is XORed with a stream of SHA-1 digests that begins with password and salt. That protects little, but it is what the files are.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::Identity;
use crate::error::{Concern, StoreError};

const KEY: u32 = 1;
const TRUSTED: u32 = 2;
/// What Java puts between password and content.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// 1.3.6.1.4.1.42.2.17.1.1, the XOR with SHA-1 digests.
const KEY_PROTECTOR: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];

type Read<T> = Result<T, StoreError>;

fn damaged() -> StoreError {
    StoreError::store("the JKS store is damaged: it ends too early or has an unknown entry")
}

/// An entry.
enum Entry {
    Key {
        sealed: Vec<u8>,
        chain: Vec<CertificateDer<'static>>,
    },
    Trusted(CertificateDer<'static>),
}

/// A store that was read.
pub(crate) struct Store {
    entries: Vec<Entry>,
}

impl Store {
    /// Reads all entries; with a password the digest is checked first, without one not at all.
    pub(crate) fn read(bytes: &[u8], password: Option<&str>) -> Read<Self> {
        let split = bytes.len().checked_sub(SHA1_OUTPUT_LEN);
        let (content, digest) = bytes.split_at(split.ok_or_else(damaged)?);
        if let Some(password) = password
            && sha1(&[&utf16(password), WHITENER, content]) != digest
        {
            return Err(StoreError::new(
                Concern::Password,
                "it does not open the store, or the store is damaged",
            ));
        }
        let mut from = Cursor(content);
        from.u32()?; // The magic, by which it was recognised.
        let version = from.u32()?;
        if !matches!(version, 1 | 2) {
            return Err(StoreError::store(format!(
                "it is a JKS store of version {version}; 1 and 2 can be read"
            )));
        }
        let count = from.u32()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let tag = from.u32()?;
            let alias = from.u16()?;
            from.take(alias.into())?;
            from.take(8)?; // When it was made.
            entries.push(match tag {
                KEY => {
                    let length = from.u32()?;
                    let sealed = from.take(length as usize)?.to_vec();
                    let links = from.u32()?;
                    let mut chain = Vec::new();
                    for _ in 0..links {
                        chain.push(from.certificate(version)?);
                    }
                    Entry::Key { sealed, chain }
                }
                TRUSTED => Entry::Trusted(from.certificate(version)?),
                _ => return Err(damaged()),
            });
        }
        Ok(Self { entries })
    }

    /// Trusted certificates, and the certificates of keys, which Java trusts too.
    pub(crate) fn authorities(self) -> Vec<CertificateDer<'static>> {
        let first = |chain: Vec<CertificateDer<'static>>| chain.into_iter().next();
        self.entries
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Trusted(certificate) => Some(certificate),
                Entry::Key { chain, .. } => first(chain),
            })
            .collect()
    }

    /// The first key that has a certificate.
    pub(crate) fn identity(self, password: Option<&str>) -> Read<Identity> {
        let found = self.entries.into_iter().find_map(|entry| match entry {
            Entry::Key { sealed, chain } if !chain.is_empty() => Some((sealed, chain)),
            _ => None,
        });
        let Some((sealed, chain)) = found else {
            return Err(StoreError::store(
                "the store holds no private key with a certificate",
            ));
        };
        let Some(password) = password else {
            return Err(StoreError::new(
                Concern::Password,
                "it is missing, but the private key is encrypted",
            ));
        };
        let key = unseal(&sealed, password)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        Ok(Identity::new(chain, key))
    }
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| damaged())
    }

    fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn certificate(&mut self, version: u32) -> Read<CertificateDer<'static>> {
        if version == 2 {
            let kind = self.u16()?;
            if self.take(kind.into())? != b"X.509" {
                return Err(StoreError::store(
                    "the store holds a certificate that is not of the kind X.509",
                ));
            }
        }
        let length = self.u32()?;
        Ok(CertificateDer::from(self.take(length as usize)?.to_vec()))
    }

    /// The content of a DER element with this tag.
    fn element(&mut self, tag: u8) -> Read<&'a [u8]> {
        let [found, first] = self.array()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let bytes = self.take(usize::from(first & 0x7f))?;
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
            }
            _ => return Err(damaged()),
        };
        let content = self.take(length)?;
        if found == tag {
            Ok(content)
        } else {
            Err(damaged())
        }
    }
}

/// A password as Java digests it.
fn utf16(password: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(password.encode_utf16().flat_map(u16::to_be_bytes).collect())
}

fn sha1(parts: &[&[u8]]) -> [u8; SHA1_OUTPUT_LEN] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; SHA1_OUTPUT_LEN];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Opens `SEQUENCE { SEQUENCE { algorithm, … }, OCTET STRING { salt, key XOR stream, digest } }`.
fn unseal(sealed: &[u8], password: &str) -> Read<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 0x04;
    const OID: u8 = 0x06;
    let mut info = Cursor(Cursor(sealed).element(SEQUENCE)?);
    let algorithm = Cursor(info.element(SEQUENCE)?).element(OID)?;
    if algorithm != KEY_PROTECTOR {
        return Err(StoreError::store(
            "the private key is encrypted in a way that JKS stores do not use; make a PKCS12 store of it: keytool -importkeystore -srckeystore FILE -destkeystore NEW.p12 -deststoretype PKCS12",
        ));
    }
    let data = info.element(OCTETS)?;
    let (salt, rest) = data.split_at_checked(SHA1_OUTPUT_LEN).ok_or_else(damaged)?;
    let end = rest.len().checked_sub(SHA1_OUTPUT_LEN);
    let (hidden, check) = rest.split_at(end.ok_or_else(damaged)?);
    let password = utf16(password);
    let mut stream = sha1(&[&password, salt]);
    let mut key = Zeroizing::new(Vec::with_capacity(hidden.len()));
    for block in hidden.chunks(SHA1_OUTPUT_LEN) {
        key.extend(block.iter().zip(stream).map(|(hidden, mask)| hidden ^ mask));
        stream = sha1(&[&password, &stream]);
    }
    if sha1(&[&password, &key]) != check {
        return Err(StoreError::new(
            Concern::KeyPassword,
            "it does not open the private key (where it is not set, the store's password is taken)",
        ));
    }
    Ok(std::mem::take(&mut *key))
}
