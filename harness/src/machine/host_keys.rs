//! The public keys by which a machine's ssh server is known.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A shell command that prints the keys of a machine, for [`HostKeys::parse`].
pub const PRINT_HOST_KEYS: &str = "cat /etc/ssh/ssh_host_*_key.pub";

/// Host keys, each as ssh sends it (RFC 4253, section 6.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostKeys(Vec<Vec<u8>>);

impl HostKeys {
    /// Reads lines of `.pub` files (sshd(8), `AUTHORIZED_KEYS FILE FORMAT`): a type, the key in base64, a comment. Other lines
    /// are no keys.
    pub fn parse(lines: &str) -> Self {
        let key = |line: &str| STANDARD.decode(line.split_whitespace().nth(1)?).ok().filter(|key| !key.is_empty());
        Self(lines.lines().filter_map(key).collect())
    }

    /// Whether this is one of them.
    pub fn holds(&self, key: &[u8]) -> bool {
        self.0.iter().any(|own| own == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::own("ssh-ed25519 AAAAC3Nz root@mail\n", b"\0\0\0\x0bss", true)]
    #[case::second("ssh-rsa AAAA root@mail\nssh-ed25519 AAAAC3Nz\n", b"\0\0\0\x0bss", true)]
    #[case::other("ssh-ed25519 AAAAC3Ny root@mail\n", b"\0\0\0\x0bss", false)]
    #[case::longer("ssh-ed25519 AAAAC3NzAAAA root@mail\n", b"\0\0\0\x0bss", false)]
    #[case::no_key("cat: no such file\n", b"", false)]
    #[case::empty("ssh-ed25519\nssh-ed25519  \n", b"", false)]
    fn a_key_is_known_or_not(#[case] lines: &str, #[case] key: &[u8], #[case] known: bool) {
        assert_eq!(HostKeys::parse(lines).holds(key), known);
    }
}
