//! SCRAM (RFC 5802, RFC 7677), the client's side, without channel binding: what Kafka's SCRAM-SHA-256 and SCRAM-SHA-512 speak.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256, Sha512};

use crate::security::{Mechanism, Secret};

/// More iterations than any sane broker asks for: a broken or hostile one must not be able to burn minutes of CPU.
const MAX_ITERATIONS: u32 = 1_000_000;
const MIN_ITERATIONS: u32 = 4_096;

/// One authentication. Feed it the broker's messages in order.
pub(crate) struct Scram<'a> {
    hash: Hash,
    password: &'a Secret,
    nonce: String,
    first_bare: String,
    server_signature: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha512,
}

impl<'a> Scram<'a> {
    /// `nonce` is printable text without commas, new for every authentication. `None` for a mechanism that is not SCRAM.
    pub(crate) fn new(
        mechanism: Mechanism,
        username: &str,
        password: &'a Secret,
        nonce: String,
    ) -> Option<Self> {
        let hash = match mechanism {
            Mechanism::ScramSha256 => Hash::Sha256,
            Mechanism::ScramSha512 => Hash::Sha512,
            Mechanism::Plain => return None,
        };
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        Some(Self {
            hash,
            password,
            nonce,
            first_bare,
            server_signature: Vec::new(),
        })
    }

    /// The first message to send.
    pub(crate) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first_bare).into_bytes()
    }

    /// The answer to the broker's challenge.
    pub(crate) fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, &'static str> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| "the challenge is not text")?;
        let field = |name: &str| challenge.split(',').find_map(|f| f.strip_prefix(name));
        let nonce = field("r=").ok_or("the challenge has no nonce")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the challenge does not continue our nonce");
        }
        let salt = field("s=")
            .and_then(|s| BASE64.decode(s).ok())
            .ok_or("the challenge has no salt")?;
        let iterations: u32 = field("i=")
            .and_then(|i| i.parse().ok())
            .ok_or("the challenge has no iteration count")?;
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err("the challenge asks for an iteration count outside 4096..1000000");
        }
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{without_proof}", self.first_bare);
        let h = self.hash;
        let salted = h.pbkdf2(self.password.expose().as_bytes(), &salt, iterations);
        let client_key = h.hmac(&salted, &[b"Client Key"]);
        let signature = h.hmac(&h.digest(&client_key), &[signed.as_bytes()]);
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(a, b)| a ^ b)
            .collect();
        self.server_signature = h.hmac(&h.hmac(&salted, &[b"Server Key"]), &[signed.as_bytes()]);
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)).into_bytes())
    }

    /// Checks that the broker knows the password too.
    pub(crate) fn verify(&self, last: &[u8]) -> Result<(), &'static str> {
        let last = std::str::from_utf8(last).map_err(|_| "the last message is not text")?;
        if last.starts_with("e=") {
            return Err("the broker refused the proof");
        }
        let signature = last
            .split(',')
            .find_map(|f| f.strip_prefix("v="))
            .and_then(|v| BASE64.decode(v).ok())
            .ok_or("the last message has no signature")?;
        if self.server_signature.is_empty() || signature != self.server_signature {
            Err("the broker's signature is wrong")
        } else {
            Ok(())
        }
    }
}

impl Hash {
    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha256 => Hmac::<Sha256>::new(key, 64).sign(parts),
            Self::Sha512 => Hmac::<Sha512>::new(key, 128).sign(parts),
        }
    }

    fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => Hmac::<Sha256>::new(password, 64).pbkdf2(salt, iterations),
            Self::Sha512 => Hmac::<Sha512>::new(password, 128).pbkdf2(salt, iterations),
        }
    }
}

/// HMAC (RFC 2104) with both pads hashed once, so that the thousands of rounds of PBKDF2 do not repeat that.
struct Hmac<D> {
    inner: D,
    outer: D,
}

impl<D: Digest + Clone> Hmac<D> {
    fn new(key: &[u8], block: usize) -> Self {
        let mut padded = if key.len() > block {
            D::digest(key).to_vec()
        } else {
            key.to_vec()
        };
        padded.resize(block, 0);
        let pad =
            |byte: u8| D::new().chain_update(padded.iter().map(|b| b ^ byte).collect::<Vec<_>>());
        Self {
            inner: pad(0x36),
            outer: pad(0x5c),
        }
    }

    fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        self.outer
            .clone()
            .chain_update(inner.finalize())
            .finalize()
            .to_vec()
    }

    fn pbkdf2(&self, salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut round = self.sign(&[salt, &1u32.to_be_bytes()]);
        let mut out = round.clone();
        for _ in 1..iterations {
            round = self.sign(&[&round]);
            out.iter_mut().zip(&round).for_each(|(o, r)| *o ^= r);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rfc_7677_example() {
        let password = Secret::new("pencil");
        let mut scram = Scram::new(
            Mechanism::ScramSha256,
            "user",
            &password,
            "rOprNGfwEbeRWgbNEkqO".into(),
        )
        .unwrap();
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = scram.answer(challenge).unwrap();
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        scram
            .verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
            .unwrap();
        assert!(scram.verify(b"v=AAAA").is_err());
        assert!(scram.verify(b"e=invalid-proof").is_err());
    }

    #[test]
    fn a_bad_challenge_is_refused() {
        let password = Secret::new("pencil");
        for bad in [
            "",
            "r=other1,s=AAAA,i=4096",
            "r=abc,s=AAAA,i=4096",
            "r=abcd,s=AAAA,i=1",
            "r=abcd,s=AAAA,i=999999999",
            "r=abcd,i=4096",
        ] {
            let mut scram =
                Scram::new(Mechanism::ScramSha512, "u", &password, "abc".into()).unwrap();
            assert!(
                scram.answer(bad.as_bytes()).is_err(),
                "{bad:?} was accepted"
            );
        }
    }

    #[test]
    fn names_are_escaped() {
        let password = Secret::new("p");
        let scram = Scram::new(Mechanism::ScramSha512, "a=b,c", &password, "n".into()).unwrap();
        assert_eq!(scram.first(), b"n,,n=a=3Db=2Cc,r=n");
    }
}
