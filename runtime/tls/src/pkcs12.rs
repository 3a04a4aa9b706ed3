//! PKCS#12.

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Identity;
use crate::error::{Concern, StoreError};

fn open(bytes: &[u8], password: Option<&str>) -> Result<Pkcs12Archive, StoreError> {
    Pkcs12Archive::from_pkcs12(bytes, password.unwrap_or_default()).map_err(|error| match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => {
            let why = match password {
                Some(_) => "it does not open the store",
                None => "it is missing, but the store has one",
            };
            StoreError::new(Concern::Password, why)
        }
        other => StoreError::store(format!(
            "the file is not a PKCS12 store that can be read ({other}); make a new one of it: keytool -importkeystore -srckeystore FILE -destkeystore NEW.p12 -deststoretype PKCS12"
        )),
    })
}

fn der(bag: &CertificateBag) -> CertificateDer<'static> {
    CertificateDer::from(bag.cert.as_der().to_vec())
}

/// What is marked as trusted. Java trusts nothing else; `openssl pkcs12 -export -nokeys` marks nothing, and a store that was made so is meant all the same: all of it then.
pub(crate) fn authorities(
    bytes: &[u8],
    password: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let archive = open(bytes, password)?;
    let marked = archive.certs.iter().any(|bag| bag.trusted);
    let owned = |bag: &CertificateBag| bag.local_key_id.is_some();
    Ok(archive
        .certs
        .iter()
        // Java trusts the certificates of keys too.
        .filter(|bag| !marked || bag.trusted || owned(bag))
        .map(der)
        .collect())
}

/// The first key that has a certificate, with the certificates that lead from it to its authority.
pub(crate) fn identity(bytes: &[u8], password: Option<&str>) -> Result<Identity, StoreError> {
    let archive = open(bytes, password)?;
    let found = archive.keys.iter().find_map(|key| {
        let id = key.local_key_id.as_ref()?.as_ref();
        let of_key = |bag: &&CertificateBag| bag.local_key_id.as_deref() == Some(id);
        Some((key, archive.certs.iter().find(of_key)?))
    });
    let Some((key, leaf)) = found else {
        return Err(StoreError::store(
            "the store holds no private key with a certificate",
        ));
    };
    let mut chain = vec![der(leaf)];
    let mut last = leaf;
    while last.cert.issuer() != last.cert.subject()
        && let Some(issuer) = archive
            .certs
            .iter()
            .find(|bag| bag.cert.subject() == last.cert.issuer())
    {
        let next = der(issuer);
        if chain.contains(&next) {
            break;
        }
        chain.push(next);
        last = issuer;
    }
    let key = PrivatePkcs8KeyDer::from(key.key.as_der().to_vec());
    Ok(Identity::new(chain, PrivateKeyDer::Pkcs8(key)))
}
