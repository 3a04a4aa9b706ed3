//! `tls-server-end-point` (RFC 5929): the server's certificate, hashed as its signature is.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The `tls-server-end-point` channel binding data of a DER certificate; `None` when its signature has no single
/// hash (Ed25519, RSA-PSS), for which no binding is defined.
pub fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    match signature_hash(certificate)? {
        // RFC 5929 replaces the broken hashes.
        Hash::Md5OrSha1 | Hash::Sha256 => Some(Sha256::digest(certificate).to_vec()),
        Hash::Sha384 => Some(Sha384::digest(certificate).to_vec()),
        Hash::Sha512 => Some(Sha512::digest(certificate).to_vec()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Hash {
    Md5OrSha1,
    Sha256,
    Sha384,
    Sha512,
}

/// `Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, … }, … }`
fn signature_hash(certificate: &[u8]) -> Option<Hash> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (certificate, _) = element(SEQUENCE, certificate)?;
    let (_, after_tbs) = element(SEQUENCE, certificate)?;
    let (algorithm, _) = element(SEQUENCE, after_tbs)?;
    let (identifier, _) = element(OBJECT_IDENTIFIER, algorithm)?;
    /// 1.2.840.113549.1.1: RSA with PKCS#1 padding.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    /// 1.2.840.10045.4: ECDSA.
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    if let Some(kind) = identifier.strip_prefix(RSA) {
        return match kind {
            [4 | 5] => Some(Hash::Md5OrSha1),
            [11] => Some(Hash::Sha256),
            [12] => Some(Hash::Sha384),
            [13] => Some(Hash::Sha512),
            _ => None,
        };
    }
    match identifier.strip_prefix(ECDSA)? {
        [1] => Some(Hash::Md5OrSha1),
        [3, 2] => Some(Hash::Sha256),
        [3, 3] => Some(Hash::Sha384),
        [3, 4] => Some(Hash::Sha512),
        _ => None,
    }
}

/// The content of the DER element at the start of `input`, if it has this tag, and what follows it.
fn element(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, short], rest) = input.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    if short < 0x80 {
        return rest.split_at_checked(short.into());
    }
    let digits = usize::from(short & 0x7f);
    if !(1..=4).contains(&digits) {
        return None;
    }
    let (length, rest) = rest.split_at_checked(digits)?;
    let length = length
        .iter()
        .fold(0usize, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate's outer structure around a signature algorithm.
    fn certificate(identifier: &[u8]) -> Vec<u8> {
        let mut algorithm = vec![0x06, identifier.len() as u8];
        algorithm.extend_from_slice(identifier);
        let mut content = vec![0x30, 0x82, 0x01, 0x00];
        content.extend_from_slice(&[0; 256]);
        content.push(0x30);
        content.push(algorithm.len() as u8);
        content.extend_from_slice(&algorithm);
        let mut certificate = vec![0x30, 0x82];
        certificate.extend_from_slice(&(content.len() as u16).to_be_bytes());
        certificate.extend_from_slice(&content);
        certificate
    }

    #[test]
    fn the_signature_decides_the_hash() {
        let rsa = |kind| certificate(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, kind]);
        let ecdsa = |kind| certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 3, kind]);
        assert_eq!(signature_hash(&rsa(5)), Some(Hash::Md5OrSha1));
        assert_eq!(signature_hash(&rsa(11)), Some(Hash::Sha256));
        assert_eq!(signature_hash(&rsa(13)), Some(Hash::Sha512));
        assert_eq!(signature_hash(&ecdsa(2)), Some(Hash::Sha256));
        assert_eq!(signature_hash(&ecdsa(3)), Some(Hash::Sha384));
        // RSA-PSS and Ed25519.
        assert_eq!(signature_hash(&rsa(10)), None);
        assert_eq!(signature_hash(&certificate(&[0x2b, 0x65, 0x70])), None);
    }

    #[test]
    fn broken_certificates_have_no_hash() {
        let whole = certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 3, 2]);
        for end in 0..whole.len() {
            assert_eq!(signature_hash(&whole[..end]), None);
        }
    }
}
