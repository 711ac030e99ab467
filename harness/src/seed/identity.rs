//! All keys and passwords of one lab, made fresh for it.
//!
//! Passwords of users reach guests as hashes only, salted SHA-1 for the directory (OpenLDAP's `{SSHA}`) and
//! SHA-512-crypt for /etc/shadow (crypt(5)). What a daemon must present itself, such as the directory's service account,
//! stands in a file that only it can read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::distr::{Alphanumeric, SampleString as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use secrecy::{ExposeSecret as _, SecretString};
use sha_crypt::{PasswordHasher as _, ShaCrypt};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::fmt;

/// Why an identity could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A certificate or its key.
    #[error("failed to make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The ssh key.
    #[error("failed to make an ssh key")]
    SshKey(#[from] ssh_key::Error),
    /// A password hash.
    #[error("failed to hash a password: {0}")]
    Hash(String),
}

/// A password in the forms that it is needed in. Its [`fmt::Debug`] shows none of them.
#[derive(Clone)]
pub struct Password {
    plain: SecretString,
    directory: String,
    shadow: String,
}

impl Password {
    fn random() -> Result<Self, IdentityError> {
        let plain = Alphanumeric.sample_string(&mut rand::rng(), 20);
        let salt: [u8; 8] = rand::random();
        let digest = Sha1::new().chain_update(plain.as_bytes()).chain_update(salt).finalize();
        let directory = format!("{{SSHA}}{}", BASE64.encode([digest.as_slice(), &salt].concat()));
        let shadow = ShaCrypt::default()
            .hash_password_with_salt(plain.as_bytes(), &rand::random::<[u8; 12]>())
            .map_err(|error| IdentityError::Hash(error.to_string()))?
            .as_str()
            .to_owned();
        Ok(Self { plain: plain.into(), directory, shadow })
    }

    /// The password itself.
    #[must_use]
    pub fn plain(&self) -> &SecretString {
        &self.plain
    }

    /// The value of `userPassword` in the directory.
    #[must_use]
    pub fn directory_hash(&self) -> &str {
        &self.directory
    }

    /// The second field of shadow(5).
    #[must_use]
    pub fn shadow_hash(&self) -> &str {
        &self.shadow
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: SecretString,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

/// The keys and passwords of one lab.
#[derive(Debug, Clone)]
pub struct Identity {
    authority: String,
    certificates: BTreeMap<String, Certificate>,
    passwords: BTreeMap<String, Password>,
    ssh_key: SecretString,
    ssh_public_key: String,
}

impl Identity {
    /// Makes certificates for machines (short name and domain) and passwords for accounts.
    pub fn generate<'a>(
        machines: impl IntoIterator<Item = &'a str>,
        domain: &str,
        accounts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, IdentityError> {
        let authority_key = KeyPair::generate()?;
        let parameters = authority_parameters(domain);
        let authority = parameters.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(parameters, authority_key);
        let mut certificates = BTreeMap::new();
        for machine in machines {
            certificates.insert(machine.to_owned(), certificate(machine, domain, &issuer)?);
        }
        let passwords = accounts
            .into_iter()
            .map(|account| Ok((account.to_owned(), Password::random()?)))
            .collect::<Result<_, IdentityError>>()?;
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&rand::random());
        let private = ssh_key::PrivateKey::new(pair.into(), "rehearsal")?;
        Ok(Self {
            authority,
            certificates,
            passwords,
            ssh_key: private.to_openssh(ssh_key::LineEnding::LF)?.to_string().into(),
            ssh_public_key: private.public_key().to_openssh()?,
        })
    }

    /// The certificate of the lab's authority, PEM: the one thing that its clients trust.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The certificate of a machine.
    #[must_use]
    pub fn certificate(&self, machine: &str) -> Option<&Certificate> {
        self.certificates.get(machine)
    }

    /// The password of an account.
    #[must_use]
    pub fn password(&self, account: &str) -> Option<&Password> {
        self.passwords.get(account)
    }

    /// All accounts with their passwords.
    pub fn passwords(&self) -> impl Iterator<Item = (&str, &Password)> {
        self.passwords.iter().map(|(account, password)| (account.as_str(), password))
    }

    /// root's private key for ssh, in OpenSSH format.
    #[must_use]
    pub fn ssh_key(&self) -> &SecretString {
        &self.ssh_key
    }

    /// The line of `authorized_keys` for it.
    #[must_use]
    pub fn ssh_public_key(&self) -> &str {
        &self.ssh_public_key
    }

    /// Replaces every secret of the lab in `text`: the last guard before anything is kept or shown.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.passwords
            .values()
            .fold(text.to_owned(), |text, password| text.replace(password.plain.expose_secret(), "******"))
    }
}

fn authority_parameters(domain: &str) -> CertificateParams {
    let mut parameters = valid_for_years();
    parameters.distinguished_name.push(DnType::CommonName, format!("Rehearsal authority of {domain}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn certificate(machine: &str, domain: &str, issuer: &Issuer<'_, KeyPair>) -> Result<Certificate, IdentityError> {
    let fqdn = format!("{machine}.{domain}");
    let mut parameters = valid_for_years();
    parameters.subject_alt_names = CertificateParams::new(vec![fqdn.clone(), machine.to_owned()])?.subject_alt_names;
    parameters.distinguished_name.push(DnType::CommonName, fqdn);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, issuer)?.pem();
    Ok(Certificate { certificate, key: key.serialize_pem().into() })
}

/// Valid long before and after now: a guest's clock may be set to any day that a scenario is about.
fn valid_for_years() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2045, 1, 1);
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_fresh_and_hidden() {
        let make = || Identity::generate(["mail"], "lan.test", ["alice"]).unwrap();
        let (one, other) = (make(), make());
        let secret = one.password("alice").unwrap().plain().expose_secret();
        assert_ne!(secret, other.password("alice").unwrap().plain().expose_secret());
        assert!(!format!("{one:?}").contains(secret) && !format!("{one:?}").contains("PRIVATE KEY"));
        assert_eq!(one.redact(&format!("LOGIN alice {secret}")), "LOGIN alice ******");
        assert!(one.password("alice").unwrap().shadow_hash().starts_with("$6$"));
    }
}
