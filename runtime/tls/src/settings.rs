//! Java's settings of stores.

use std::fmt;

use rustls_pki_types::CertificateDer;

use crate::error::{Concern, StoreError};
use crate::store::{self, Identity};

/// The values of the settings that say where certificates and keys are; every name has the prefix `ssl.`, or a longer one. Empty texts are as good as absent.
#[derive(Clone, Copy, Default)]
pub struct StoreSettings<'a> {
    /// `truststore.location`: a file.
    pub truststore_location: Option<&'a str>,
    /// `truststore.type`
    pub truststore_type: Option<&'a str>,
    /// `truststore.password`
    pub truststore_password: Option<&'a str>,
    /// `truststore.certificates`: PEM text, goes before the file.
    pub truststore_certificates: Option<&'a str>,
    /// `keystore.location`: a file.
    pub keystore_location: Option<&'a str>,
    /// `keystore.type`
    pub keystore_type: Option<&'a str>,
    /// `keystore.password`
    pub keystore_password: Option<&'a str>,
    /// `keystore.certificate.chain`: PEM text, goes with `keystore.key` and before the file.
    pub keystore_chain: Option<&'a str>,
    /// `keystore.key`: PEM text.
    pub keystore_key: Option<&'a str>,
    /// `key.password`
    pub key_password: Option<&'a str>,
}

/// A setting that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// Its name behind the prefix.
    pub key: &'static str,
    /// Its value where that is no secret.
    pub value: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Debug for StoreSettings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSettings")
            .field("truststore_location", &self.truststore_location)
            .field("keystore_location", &self.keystore_location)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssl.{}: {}", self.key, self.message)
    }
}

impl std::error::Error for SettingError {}

/// The names of a store's settings.
struct Names {
    location: &'static str,
    format: &'static str,
    password: &'static str,
}

const TRUST: Names = Names {
    location: "truststore.location",
    format: "truststore.type",
    password: "truststore.password",
};
const KEYS: Names = Names {
    location: "keystore.location",
    format: "keystore.type",
    password: "keystore.password",
};
const CERTIFICATES: &str = "truststore.certificates";
const CHAIN: &str = "keystore.certificate.chain";
const KEY: &str = "keystore.key";
const KEY_PASSWORD: &str = "key.password";

fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

fn hidden(key: &'static str, message: impl Into<String>) -> SettingError {
    SettingError {
        key,
        value: None,
        message: message.into(),
    }
}

fn read(names: &Names, path: &str) -> Result<Vec<u8>, SettingError> {
    std::fs::read(path).map_err(|error| SettingError {
        key: names.location,
        value: Some(path.to_owned()),
        message: format!("the file cannot be read: {error}"),
    })
}

fn refuse(names: &Names, path: &str, format: Option<&str>, error: StoreError) -> SettingError {
    let (key, value) = match error.concern {
        Concern::Store => (names.location, Some(path)),
        Concern::Format => (names.format, format),
        Concern::Password => return hidden(names.password, of(path, &error)),
        Concern::KeyPassword => return hidden(KEY_PASSWORD, of(path, &error)),
    };
    SettingError {
        key,
        value: value.map(str::to_owned),
        message: error.message,
    }
}

/// The file, where the setting at fault does not name it.
fn of(path: &str, error: &StoreError) -> String {
    format!("{} ('{path}')", error.message)
}

impl StoreSettings<'_> {
    /// Whom to trust; `None` where nothing is set.
    ///
    /// # Errors
    /// The setting that cannot be obeyed.
    pub fn authorities(&self) -> Result<Option<Vec<CertificateDer<'static>>>, SettingError> {
        if let Some(pem) = given(self.truststore_certificates) {
            return store::authorities(pem.as_bytes(), Some("PEM"), None)
                .map(Some)
                .map_err(|error| hidden(CERTIFICATES, error.message));
        }
        let Some(path) = given(self.truststore_location) else {
            return Ok(None);
        };
        let bytes = read(&TRUST, path)?;
        let format = given(self.truststore_type);
        store::authorities(&bytes, format, given(self.truststore_password))
            .map(Some)
            .map_err(|error| refuse(&TRUST, path, format, error))
    }

    /// Who we are; `None` where nothing is set.
    ///
    /// # Errors
    /// The setting that cannot be obeyed, or that is missing beside another.
    pub fn identity(&self) -> Result<Option<Identity>, SettingError> {
        let key_password = given(self.key_password);
        match (given(self.keystore_chain), given(self.keystore_key)) {
            (Some(chain), Some(key)) => {
                // By itself first, so that an error names the setting at fault.
                store::authorities(chain.as_bytes(), Some("PEM"), None)
                    .map_err(|error| hidden(CHAIN, error.message))?;
                store::pem_identity(chain, key, key_password)
                    .map(Some)
                    .map_err(|error| match error.concern {
                        Concern::KeyPassword => hidden(KEY_PASSWORD, error.message),
                        _ => hidden(KEY, error.message),
                    })
            }
            (Some(_), None) => Err(hidden(
                KEY,
                "it is missing, but the certificate chain is set; set both or none",
            )),
            (None, Some(_)) => Err(hidden(
                CHAIN,
                "it is missing, but the private key is set; set both or none",
            )),
            (None, None) => {
                let Some(path) = given(self.keystore_location) else {
                    return Ok(None);
                };
                let bytes = read(&KEYS, path)?;
                let format = given(self.keystore_type);
                store::identity(&bytes, format, given(self.keystore_password), key_password)
                    .map(Some)
                    .map_err(|error| refuse(&KEYS, path, format, error))
            }
        }
    }
}
