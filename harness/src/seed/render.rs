//! Templates of a role, rendered into what cloud-init reads.
//!
//! A role is a directory: `user-data.yaml` is the cloud-config, and below `files/` stands every configuration file as it
//! will stand on the machine. The cloud-config calls `file("/etc/…")`, which yields the rendered file as a quoted
//! string. Anything undefined is an error, and so is a file that the cloud-config forgets.

use super::disk::SeedFiles;
use super::identity::{Identity, IdentityError};
use crate::network::{MacAddress, Prefix};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Why a seed could not be rendered or written.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// There is no such role.
    #[error("there is no role `{role}`: {} does not exist", path.display())]
    UnknownRole {
        /// The role.
        role: String,
        /// Where its cloud-config should be.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A template is wrong, or lacks a variable.
    #[error("cloud-init/{role}/{}: {}", template, reason)]
    Template {
        /// The role.
        role: String,
        /// The template below the role.
        template: String,
        /// What is wrong, with the line.
        reason: String,
    },
    /// Files that no cloud-config places.
    #[error("cloud-init/{role}/files has files that user-data.yaml does not name: {}", unused.join(", "))]
    Unused {
        /// The role.
        role: String,
        /// The files.
        unused: Vec<String>,
    },
    /// A password could not be hashed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The lab has no certificate for a machine.
    #[error("the lab's identity has no certificate for machine {0}")]
    NoCertificate(String),
}

/// A machine as its templates see it.
#[derive(Debug, Clone, Serialize)]
pub struct Host {
    /// Short name.
    pub name: String,
    /// Full name.
    pub fqdn: String,
    /// Its role: a directory below `cloud-init/`.
    pub role: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix_length: u8,
    /// The hardware address of its card.
    pub mac: String,
}

impl Host {
    /// A machine with one card.
    #[must_use]
    pub fn new(name: &str, domain: &str, role: &str, address: Ipv4Addr, prefix: Prefix, mac: MacAddress) -> Self {
        Self {
            name: name.to_owned(),
            fqdn: format!("{name}.{domain}"),
            role: role.to_owned(),
            address,
            prefix_length: prefix.length(),
            mac: mac.to_string(),
        }
    }
}

/// The directory of all roles.
#[derive(Debug, Clone)]
pub struct Templates {
    directory: PathBuf,
}

impl Templates {
    /// The roles below `directory`.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Whether there is such a role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.directory.join(role).join("user-data.yaml").is_file()
    }

    /// All that a role consists of, unrendered: every file's path and text, in order.
    pub fn contents(&self, role: &str) -> Result<Vec<String>, SeedError> {
        let directory = self.directory.join(role);
        let mut contents = Vec::new();
        for entry in walkdir::WalkDir::new(&directory).sort_by_file_name() {
            let entry = entry.map_err(std::io::Error::from)?;
            if entry.file_type().is_file() {
                contents.push(entry.path().strip_prefix(&directory).unwrap_or(entry.path()).display().to_string());
                contents.push(fs_err::read_to_string(entry.path())?);
            }
        }
        Ok(contents)
    }

    /// Renders the seed of `host`, one of `hosts`, all of them in `domain`.
    pub fn render(
        &self,
        host: &Host,
        hosts: &[Host],
        domain: &str,
        identity: &Identity,
    ) -> Result<SeedFiles, SeedError> {
        let variables = variables(host, hosts, domain, identity)?;
        let role = Role { name: &host.role, directory: self.directory.join(&host.role), variables };
        Ok(SeedFiles { user_data: role.user_data()?, meta_data: meta_data(host), network_config: network_config(host) })
    }
}

struct Role<'a> {
    name: &'a str,
    directory: PathBuf,
    variables: minijinja::Value,
}

impl Role<'_> {
    fn user_data(&self) -> Result<String, SeedError> {
        let path = self.directory.join("user-data.yaml");
        if !path.is_file() {
            return Err(SeedError::UnknownRole { role: self.name.to_owned(), path });
        }
        let files = Arc::new(self.files()?);
        let used = Arc::new(Mutex::new(BTreeSet::new()));
        let mut environment = environment();
        environment.add_function("file", {
            let (files, used) = (files.clone(), used.clone());
            move |path: String| match files.get(&path) {
                Some(text) => {
                    used.lock().map(|mut used| used.insert(path)).ok();
                    // JSON strings are YAML strings.
                    serde_json::to_string(text).map_err(|error| {
                        minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string())
                    })
                }
                None => Err(minijinja::Error::new(
                    minijinja::ErrorKind::InvalidOperation,
                    format!("there is no files{path}"),
                )),
            }
        });
        let text = self.render(&environment, "user-data.yaml", &fs_err::read_to_string(path)?)?;
        let used = used.lock().map(|used| used.clone()).unwrap_or_default();
        let unused: Vec<_> = files.keys().filter(|path| !used.contains(*path)).cloned().collect();
        if unused.is_empty() { Ok(text) } else { Err(SeedError::Unused { role: self.name.to_owned(), unused }) }
    }

    /// Every file of the role, rendered, by its path on the machine.
    fn files(&self) -> Result<BTreeMap<String, String>, SeedError> {
        let root = self.directory.join("files");
        let environment = environment();
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&root).sort_by_file_name().min_depth(1) {
            let entry = entry.map_err(std::io::Error::from)?;
            if !entry.file_type().is_file() {
                continue;
            }
            let below = entry.path().strip_prefix(&root).map_err(std::io::Error::other)?.display().to_string();
            let text = self.render(&environment, &format!("files/{below}"), &fs_err::read_to_string(entry.path())?)?;
            files.insert(format!("/{below}"), text);
        }
        Ok(files)
    }

    fn render(&self, environment: &Environment<'_>, template: &str, source: &str) -> Result<String, SeedError> {
        environment.render_named_str(template, source, &self.variables).map_err(|error| SeedError::Template {
            role: self.name.to_owned(),
            template: format!("{template}:{}", error.line().unwrap_or(0)),
            reason: format!(
                "{}{}",
                error.kind(),
                error.detail().map(|detail| format!(": {detail}")).unwrap_or_default()
            ),
        })
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_keep_trailing_newline(true);
    environment.set_trim_blocks(true);
    environment
}

fn variables(host: &Host, hosts: &[Host], domain: &str, identity: &Identity) -> Result<minijinja::Value, SeedError> {
    let own = identity.certificate(&host.name).ok_or_else(|| SeedError::NoCertificate(host.name.clone()))?;
    let accounts: BTreeMap<_, _> = identity
        .passwords()
        .map(|(account, password)| {
            let forms = context! {
                directory_hash => password.directory_hash(),
                shadow_hash => password.shadow_hash()?,
                plain => password.plain().expose_secret(),
            };
            Ok((account.to_owned(), forms))
        })
        .collect::<Result<_, SeedError>>()?;
    let by_role: BTreeMap<_, _> =
        hosts.iter().map(|host| (host.role.clone(), minijinja::Value::from_serialize(host))).collect();
    let base_dn: Vec<_> = domain.split('.').map(|label| format!("dc={label}")).collect();
    Ok(context! {
        machine => host,
        machines => hosts,
        role => by_role,
        domain => domain,
        base_dn => base_dn.join(","),
        authority => identity.authority(),
        certificate => own.certificate,
        key => own.key.expose_secret(),
        root_key => identity.ssh_public_key(),
        accounts => accounts,
    })
}

fn meta_data(host: &Host) -> String {
    format!("instance-id: rehearsal-{}\nlocal-hostname: {}\ndsmode: local\n", host.name, host.name)
}

/// Network configuration version 2 (cloud-init, "Networking config Version 2"): no gateway, since a lab is closed.
fn network_config(host: &Host) -> String {
    format!(
        "version: 2\nethernets:\n  lan:\n    match: {{macaddress: \"{}\"}}\n    addresses: [\"{}/{}\"]\n    dhcp4: false\n    dhcp6: false\n    link-local: []\n    accept-ra: false\n",
        host.mac, host.address, host.prefix_length
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::LabSecret;

    fn lab() -> (Vec<Host>, Identity) {
        let prefix: Prefix = "10.20.0.0/24".parse().unwrap();
        let host = |name: &str, last, index| {
            Host::new(name, "lan.test", name, Ipv4Addr::new(10, 20, 0, last), prefix, MacAddress::numbered(index))
        };
        let identity = Identity::generate(
            &LabSecret::random(),
            ["mail", "directory"],
            "lan.test",
            ["alice", "bob", "carol", "dave", "cyrus", "sssd", "directory"],
        );
        (vec![host("mail", 10, 0), host("directory", 20, 1)], identity.unwrap())
    }

    fn own_templates() -> Templates {
        Templates::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloud-init"))
    }

    #[rstest::rstest]
    #[case("mail", 0)]
    #[case("directory", 1)]
    fn every_role_renders_without_user_passwords(#[case] name: &str, #[case] index: usize) {
        let (hosts, identity) = lab();
        let seed = own_templates().render(&hosts[index], &hosts, "lan.test", &identity).unwrap();
        assert!(seed.user_data.starts_with("#cloud-config\n"), "{name}");
        for account in ["alice", "bob", "carol", "dave", "cyrus"] {
            let password = identity.password(account).unwrap().plain().expose_secret();
            assert!(!seed.user_data.contains(password), "{account}'s password stands in the seed of {name}");
        }
    }

    #[test]
    fn the_network_is_matched_by_hardware_address() {
        let (hosts, identity) = lab();
        let seed = own_templates().render(&hosts[0], &hosts, "lan.test", &identity).unwrap();
        insta::assert_snapshot!(seed.network_config, @r#"
        version: 2
        ethernets:
          lan:
            match: {macaddress: "52:54:00:4c:00:00"}
            addresses: ["10.20.0.10/24"]
            dhcp4: false
            dhcp6: false
            link-local: []
            accept-ra: false
        "#);
    }

    fn rendered(user_data: &str, files: &[(&str, &str)]) -> Result<SeedFiles, SeedError> {
        let directory = tempfile::tempdir().unwrap();
        let role = directory.path().join("mail");
        std::fs::create_dir_all(role.join("files/etc")).unwrap();
        std::fs::write(role.join("user-data.yaml"), user_data).unwrap();
        for (path, text) in files {
            std::fs::write(role.join("files").join(path), text).unwrap();
        }
        let (hosts, identity) = lab();
        Templates::at(directory.path()).render(&hosts[0], &hosts, "lan.test", &identity)
    }

    #[rstest::rstest]
    #[case::undefined("#cloud-config\n\n{{ nothing }}\n", &[], "cloud-init/mail/user-data.yaml:3: undefined value")]
    #[case::missing_file("#cloud-config\nx: {{ file('/etc/x') }}\n", &[], "cloud-init/mail/user-data.yaml:2: invalid operation: there is no files/etc/x")]
    #[case::undefined_in_a_file("{{ file('/etc/x') }}\n", &[("etc/x", "\n{{ nothing }}")], "cloud-init/mail/files/etc/x:2: undefined value")]
    #[case::forgotten_file("#cloud-config\n", &[("etc/x", "")], "cloud-init/mail/files has files that user-data.yaml does not name: /etc/x")]
    fn mistakes_are_named(#[case] user_data: &str, #[case] files: &[(&str, &str)], #[case] message: &str) {
        assert_eq!(rendered(user_data, files).unwrap_err().to_string(), message);
    }
}
