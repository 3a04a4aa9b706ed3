//! How much of the server's certificate is checked: libpq's three levels on top of rustls.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// The authorities a certificate may come from.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) store: RootCertStore,
    /// The same certificates as they were given.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

#[derive(Debug)]
pub(super) enum Check {
    /// `allow`, `prefer`, `require`: encrypted, but to whomever answers.
    Nothing,
    /// `verify-ca`.
    Authority(Authorities),
    /// `verify-full`.
    AuthorityAndName(Authorities),
}

#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) check: Check,
    pub(super) provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn check_authority(
        &self,
        certificate: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        authorities: &Authorities,
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let checked = verify_server_cert_signed_by_trust_anchor(
            parsed,
            &authorities.store,
            intermediates,
            now,
            algorithms,
        );
        match checked {
            // A self-signed certificate made by `openssl req -x509` says that it is an authority, which webpki does
            // not take from a server even if that very certificate is trusted. OpenSSL, so libpq, does. An expired
            // one has an error of its own and is found before this one.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if authorities
                    .certificates
                    .iter()
                    .any(|trusted| trusted == certificate) =>
            {
                Ok(())
            }
            other => other,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.check {
            Check::Nothing => {}
            Check::Authority(authorities) => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                self.check_authority(end_entity, &parsed, intermediates, authorities, now)?;
            }
            Check::AuthorityAndName(authorities) => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                self.check_authority(end_entity, &parsed, intermediates, authorities, now)?;
                verify_server_name(&parsed, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// What `openssl req -x509` makes: self-signed, and an authority.
    fn self_signed(name: &str, last_year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").into()
    }

    fn verify(
        check: fn(Authorities) -> Check,
        trusted: &CertificateDer<'static>,
        presented: &CertificateDer<'static>,
    ) -> Result<(), Error> {
        let mut store = RootCertStore::empty();
        store.add(trusted.clone()).expect("an authority");
        let verifier = Verifier {
            check: check(Authorities {
                store,
                certificates: vec![trusted.clone()],
            }),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        };
        let name = ServerName::try_from("db.example").expect("a name");
        // 2025.
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_750_000_000));
        verifier
            .verify_server_cert(presented, &[], &name, &[], now)
            .map(drop)
    }

    #[test]
    fn a_trusted_self_signed_certificate_is_accepted() {
        let certificate = self_signed("db.example", 2040);
        assert_eq!(verify(Check::Authority, &certificate, &certificate), Ok(()));
        assert_eq!(
            verify(Check::AuthorityAndName, &certificate, &certificate),
            Ok(())
        );
    }

    #[test]
    fn only_that_very_certificate() {
        let trusted = self_signed("db.example", 2040);
        let other = self_signed("db.example", 2040);
        for check in [Check::Authority, Check::AuthorityAndName] {
            verify(check, &trusted, &other).expect_err("not trusted");
        }
    }

    #[test]
    fn not_after_its_time() {
        let certificate = self_signed("db.example", 2024);
        let error = verify(Check::Authority, &certificate, &certificate).expect_err("expired");
        assert!(
            matches!(
                error,
                Error::InvalidCertificate(
                    CertificateError::Expired | CertificateError::ExpiredContext { .. }
                )
            ),
            "{error}"
        );
    }

    #[test]
    fn only_verify_full_looks_at_the_name() {
        let certificate = self_signed("other.example", 2040);
        assert_eq!(verify(Check::Authority, &certificate, &certificate), Ok(()));
        let error =
            verify(Check::AuthorityAndName, &certificate, &certificate).expect_err("another name");
        assert!(
            matches!(
                error,
                Error::InvalidCertificate(
                    CertificateError::NotValidForName
                        | CertificateError::NotValidForNameContext { .. }
                )
            ),
            "{error}"
        );
    }
}
