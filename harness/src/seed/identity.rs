//! All keys and passwords of one lab, derived from its [`LabSecret`].
//!
//! Passwords of users reach guests as hashes only, salted SHA-1 for the directory (OpenLDAP's `{SSHA}`) and
//! SHA-512-crypt for /etc/shadow (crypt(5)). What a daemon must present itself, such as the directory's service account,
//! stands in a file that only it can read.

use super::secret::LabSecret;
use crate::secrets::Secrets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
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
}

impl Password {
    fn of(account: &str, secret: &LabSecret) -> Self {
        Self { plain: secret.password(&format!("password {account}")).into() }
    }

    /// The password itself.
    #[must_use]
    pub fn plain(&self) -> &SecretString {
        &self.plain
    }

    /// A value of `userPassword` in the directory, with fresh salt.
    #[must_use]
    pub fn directory_hash(&self) -> String {
        let salt: [u8; 8] = rand::random();
        let digest = Sha1::new().chain_update(self.plain.expose_secret().as_bytes()).chain_update(salt).finalize();
        format!("{{SSHA}}{}", BASE64.encode([digest.as_slice(), &salt].concat()))
    }

    /// A second field of shadow(5), with fresh salt: slow, as it is meant to be.
    pub fn shadow_hash(&self) -> Result<String, IdentityError> {
        ShaCrypt::default()
            .hash_password_with_salt(self.plain.expose_secret().as_bytes(), &rand::random::<[u8; 12]>())
            .map(|hash| hash.as_str().to_owned())
            .map_err(|error| IdentityError::Hash(error.to_string()))
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
    /// What nothing may hold that is kept or shown: the passwords, and what was learned.
    secrets: Secrets,
}

impl Identity {
    /// Makes certificates for machines, each with its short name and its further full names, and passwords for accounts. The authority's key is thrown
    /// away: nobody can make another certificate of this lab.
    pub fn generate<'a>(
        secret: &LabSecret,
        machines: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>,
        domain: &str,
        accounts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, IdentityError> {
        let authority_key = KeyPair::generate()?;
        let parameters = authority_parameters(domain);
        let authority = parameters.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(parameters, authority_key);
        let mut certificates = BTreeMap::new();
        for (machine, further) in machines {
            certificates.insert(machine.to_owned(), certificate(machine, &further, domain, &issuer)?);
        }
        let identity = Self::recall(secret, authority, accounts)?;
        Ok(Self { certificates, ..identity })
    }

    /// The identity of a lab that runs already, by its secret and its authority: all but the machines' own certificates,
    /// which only the machines need.
    pub fn recall<'a>(
        secret: &LabSecret,
        authority: String,
        accounts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, IdentityError> {
        let passwords: BTreeMap<_, _> =
            accounts.into_iter().map(|account| (account.to_owned(), Password::of(account, secret))).collect();
        let secrets = Secrets::default();
        secrets.learn(passwords.values().map(|password| password.plain.clone()));
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&secret.bytes("ssh key of root"));
        let private = ssh_key::PrivateKey::new(pair.into(), "rehearsal")?;
        Ok(Self {
            authority,
            certificates: BTreeMap::new(),
            passwords,
            ssh_key: private.to_openssh(ssh_key::LineEnding::LF)?.to_string().into(),
            ssh_public_key: private.public_key().to_openssh()?,
            secrets,
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

    /// Every secret of the lab, and every one that is learned later: what replaces them is the last guard before anything is kept
    /// or shown.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The same text without its secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.secrets.redact(text)
    }
}

/// Names that a server has for programs to which one of its ports is forwarded (`cargo xtask forward`).
const FORWARDED: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn authority_parameters(domain: &str) -> CertificateParams {
    let mut parameters = valid_for_years();
    parameters.distinguished_name.push(DnType::CommonName, format!("Rehearsal authority of {domain}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn certificate(
    machine: &str,
    further: &[&str],
    domain: &str,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<Certificate, IdentityError> {
    let fqdn = format!("{machine}.{domain}");
    let mut parameters = valid_for_years();
    let names = [fqdn.as_str(), machine].into_iter().chain(FORWARDED).chain(further.iter().copied());
    let names: Vec<_> = names.map(str::to_owned).collect();
    parameters.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
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

    fn made(secret: &LabSecret) -> Identity {
        Identity::generate(secret, [("mail", vec![])], "lan.test", ["alice"]).unwrap()
    }

    #[test]
    fn secrets_are_fresh_and_hidden() {
        let (one, other) = (made(&LabSecret::random()), made(&LabSecret::random()));
        let password = one.password("alice").unwrap();
        let secret = password.plain().expose_secret();
        assert_ne!(secret, other.password("alice").unwrap().plain().expose_secret());
        assert!(!format!("{one:?}").contains(secret) && !format!("{one:?}").contains("PRIVATE KEY"));
        assert_eq!(one.redact(&format!("LOGIN alice {secret}")), "LOGIN alice ******");
        assert!(password.shadow_hash().unwrap().starts_with("$6$"));
        assert_ne!(password.directory_hash(), password.directory_hash());
    }

    #[test]
    fn an_identity_is_recalled_by_its_secret() {
        let secret = LabSecret::random();
        let made = made(&secret);
        let again = Identity::recall(&secret, made.authority().to_owned(), ["alice"]).unwrap();
        assert_eq!(again.ssh_public_key(), made.ssh_public_key());
        let plain = |identity: &Identity| identity.password("alice").unwrap().plain().expose_secret().to_owned();
        assert_eq!(plain(&again), plain(&made));
        assert_eq!(again.authority(), made.authority());
    }
}
