//! Templates of a role, rendered into what cloud-init reads.
//!
//! A role is a directory: `user-data.yaml` is the cloud-config, and below `files/` stands every configuration file as it
//! will stand on the machine. The cloud-config calls `file("/etc/…")`, which yields the rendered file as a quoted
//! string. Anything undefined is an error, and so is a file that the cloud-config forgets.
//!
//! A role whose directory has a file `like` is made of the role that is named there: it has its files, and its own where
//! both have one.

use super::disk::SeedFiles;
use super::host::Host;
use super::identity::{Identity, IdentityError};
use super::role::Role;
use minijinja::context;
use secrecy::ExposeSecret as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

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
    /// A role is like one that is like it.
    #[error("cloud-init/{role}/like leads back to {role}")]
    Circle {
        /// The role.
        role: String,
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
        let mut contents = Vec::new();
        for role in self.lineage(role)? {
            let directory = self.directory.join(role);
            for entry in walkdir::WalkDir::new(&directory).sort_by_file_name() {
                let entry = entry.map_err(std::io::Error::from)?;
                if entry.file_type().is_file() {
                    contents.push(entry.path().strip_prefix(&directory).unwrap_or(entry.path()).display().to_string());
                    contents.push(fs_err::read_to_string(entry.path())?);
                }
            }
        }
        Ok(contents)
    }

    /// The role itself, then the one that it is like, and so on.
    pub fn lineage(&self, role: &str) -> Result<Vec<String>, SeedError> {
        let mut lineage = vec![role.to_owned()];
        while let Some(like) = self.like(lineage.last().map_or(role, String::as_str))? {
            if lineage.contains(&like) {
                return Err(SeedError::Circle { role: role.to_owned() });
            }
            lineage.push(like);
        }
        Ok(lineage)
    }

    fn like(&self, role: &str) -> Result<Option<String>, SeedError> {
        let path = self.directory.join(role).join("like");
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(fs_err::read_to_string(path)?.trim().to_owned()))
    }

    /// The machine of each role; one whose role is like another's stands for both, where no machine has that itself.
    fn by_role<'h>(&self, hosts: &'h [Host]) -> Result<BTreeMap<String, &'h Host>, SeedError> {
        let mut by_role: BTreeMap<_, _> = hosts.iter().map(|host| (host.role.clone(), host)).collect();
        for host in hosts {
            for role in self.lineage(&host.role)? {
                by_role.entry(role).or_insert(host);
            }
        }
        Ok(by_role)
    }

    /// Renders the seed of `host`, one of `hosts`, all of them in `domain`.
    pub fn render(
        &self,
        host: &Host,
        hosts: &[Host],
        domain: &str,
        identity: &Identity,
    ) -> Result<SeedFiles, SeedError> {
        let by_role = self.by_role(hosts)?;
        let variables = variables(host, hosts, &by_role, domain, identity)?;
        let lineage = self.lineage(&host.role)?;
        let directories = lineage.iter().map(|role| self.directory.join(role)).collect();
        let role = Role { name: &host.role, directories, variables };
        Ok(SeedFiles { user_data: role.user_data()?, meta_data: meta_data(host), network_config: network_config(host) })
    }
}

fn variables(
    host: &Host,
    hosts: &[Host],
    by_role: &BTreeMap<String, &Host>,
    domain: &str,
    identity: &Identity,
) -> Result<minijinja::Value, SeedError> {
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

/// Network configuration version 2 (cloud-init, "Networking config Version 2"). A machine without a gateway reaches its own
/// networks only. Resolvers are not told here: without systemd-resolved only /etc/resolv.conf counts, which is a role's file.
fn network_config(host: &Host) -> String {
    let wiring = &host.wiring;
    let further = wiring.names.values().filter(|address| **address != host.address);
    let further: BTreeSet<_> = further.map(|address| (*address, host.prefix_length)).collect();
    let first = std::iter::once((host.address, host.prefix_length)).chain(further);
    let mut text = String::from("version: 2\nethernets:\n");
    ethernet(&mut text, "lan", &host.mac, first);
    if let Some(gateway) = wiring.gateway {
        let _ = writeln!(text, "    routes: [{{to: 0.0.0.0/0, via: {gateway}}}]");
    }
    for (index, card) in wiring.cards.iter().enumerate() {
        ethernet(&mut text, &format!("card{}", index + 1), &card.mac, [(card.address, card.prefix_length)]);
    }
    text
}

fn ethernet(text: &mut String, id: &str, mac: &str, addresses: impl IntoIterator<Item = (Ipv4Addr, u8)>) {
    let addresses = addresses.into_iter().map(|(address, length)| format!("\"{address}/{length}\""));
    let addresses = addresses.collect::<Vec<_>>().join(", ");
    let _ = write!(
        text,
        "  {id}:\n    match: {{macaddress: \"{mac}\"}}\n    addresses: [{addresses}]\n    dhcp4: false\n    dhcp6: false\n    link-local: []\n    accept-ra: false\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{MacAddress, Prefix};
    use crate::seed::LabSecret;
    use crate::seed::host::{Card, Wiring};

    fn lab() -> (Vec<Host>, Identity) {
        let prefix: Prefix = "10.20.0.0/24".parse().unwrap();
        let host = |name: &str, last, index| {
            Host::new(name, "lan.test", name, Ipv4Addr::new(10, 20, 0, last), prefix, MacAddress::numbered(index))
        };
        let identity = Identity::generate(
            &LabSecret::random(),
            [("mail", Vec::new()), ("directory", Vec::new())],
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

    #[test]
    fn a_router_has_more_cards_and_a_guarded_machine_a_gateway() {
        let (mut hosts, identity) = lab();
        let names = [("www.example", 11), ("ftp.example", 11), ("own.example", 10)]
            .map(|(name, last)| (name.to_owned(), Ipv4Addr::new(10, 20, 0, last)))
            .into();
        let card = Card {
            segment: "dmz".into(),
            address: Ipv4Addr::new(10, 20, 2, 2),
            prefix_length: 24,
            mac: MacAddress::numbered(2).to_string(),
        };
        let gateway = Some(Ipv4Addr::new(10, 20, 0, 2));
        hosts[0] = hosts[0].clone().with(Wiring { cards: vec![card], names, gateway, resolver: gateway });
        let seed = own_templates().render(&hosts[0], &hosts, "lan.test", &identity).unwrap();
        insta::assert_snapshot!(seed.network_config, @r#"
        version: 2
        ethernets:
          lan:
            match: {macaddress: "52:54:00:4c:00:00"}
            addresses: ["10.20.0.10/24", "10.20.0.11/24"]
            dhcp4: false
            dhcp6: false
            link-local: []
            accept-ra: false
            routes: [{to: 0.0.0.0/0, via: 10.20.0.2}]
          card1:
            match: {macaddress: "52:54:00:4c:00:02"}
            addresses: ["10.20.2.2/24"]
            dhcp4: false
            dhcp6: false
            link-local: []
            accept-ra: false
        "#);
    }

    #[test]
    fn a_role_like_another_has_its_files_and_its_own() {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("mail/user-data.yaml", ""),
            ("mail/files/etc/a", "a of mail"),
            ("mail/files/etc/b", "b of mail"),
            ("guarded/like", "mail\n"),
            ("guarded/user-data.yaml", "{{ file('/etc/a') }} {{ file('/etc/b') }} {{ role.mail.name }}"),
            ("guarded/files/etc/b", "b of its own"),
            ("circle/like", "circle"),
        ] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (mut hosts, identity) = lab();
        hosts[0].role = "guarded".into();
        let templates = Templates::at(directory.path());
        let seed = templates.render(&hosts[0], &hosts, "lan.test", &identity).unwrap();
        assert_eq!(seed.user_data, "\"a of mail\" \"b of its own\" mail");
        assert!(templates.contents("guarded").unwrap().contains(&"a of mail".to_owned()));
        assert_eq!(
            templates.contents("circle").unwrap_err().to_string(),
            "cloud-init/circle/like leads back to circle"
        );
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
