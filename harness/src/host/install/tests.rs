use super::super::tools::TOOLS;
use super::*;

const DEBIAN_12: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
const DEBIAN_13: &str = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_CODENAME=trixie\nID=debian\n";
const UBUNTU: &str = "PRETTY_NAME=\"Ubuntu 24.04.2 LTS\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n";
const LEAP: &str = "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nPRETTY_NAME=\"openSUSE Leap 15.6\"\n";
const FEDORA: &str = "ID=fedora\nPRETTY_NAME=\"Fedora Linux 42 (Server Edition)\"\n";
const UNKNOWN: &str = "ID=slackware\nPRETTY_NAME=\"Slackware 15.0\"\n";

fn source(suites: &[&str], signed_by: Option<&str>) -> AptSource {
    AptSource {
        uris: "http://mirror.example/debian".to_owned(),
        suites: suites.iter().map(|&suite| suite.to_owned()).collect(),
        signed_by: signed_by.map(str::to_owned),
    }
}

fn debian_source() -> AptSource {
    source(&["bookworm", "bookworm-updates"], Some("/usr/share/keyrings/debian-archive-keyring.gpg"))
}

/// The plan for a host that lacks the tools of these names; all of them when none is named.
fn planned(os_release: &str, sources: &[AptSource], names: &[&str]) -> String {
    let lacks = |tool: &&Tool| names.is_empty() || names.contains(&tool.name);
    let missing: Vec<&'static Tool> = TOOLS.iter().filter(lacks).collect();
    match plan(&Distribution::parse(os_release), sources, &missing) {
        Ok(plan) => plan.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn debian_12_without_anything() {
    insta::assert_snapshot!(planned(DEBIAN_12, &[debian_source()], &[]));
}

#[test]
fn debian_12_with_a_newer_qemu_img_and_no_backports_source() {
    // qemu-utils is that of the backports already, as cloud images have it; its source is not configured.
    insta::assert_snapshot!(planned(DEBIAN_12, &[debian_source()], &["qemu-system-x86_64"]));
}

#[test]
fn debian_12_with_a_backports_source_gets_no_second_one() {
    let sources = [debian_source(), source(&["bookworm-backports"], None)];
    insta::assert_snapshot!(planned(DEBIAN_12, &sources, &["qemu-system-x86_64", "nft"]));
}

#[test]
fn debian_12_whose_source_has_no_keyring_or_a_key_within() {
    let unsigned = [source(&["bookworm"], None)];
    insta::assert_snapshot!("debian_12_no_keyring", planned(DEBIAN_12, &unsigned, &["qemu-img"]));
    let embedded = [source(&["bookworm"], Some("\n -----BEGIN\n .\n -----END"))];
    insta::assert_snapshot!("debian_12_embedded_key", planned(DEBIAN_12, &embedded, &["qemu-img"]));
}

#[test]
fn debian_12_without_a_debian_source() {
    insta::assert_snapshot!(planned(DEBIAN_12, &[source(&["nodistro"], None)], &["qemu-system-x86_64"]));
}

#[test]
fn debian_12_that_lacks_something_else_needs_no_backports() {
    insta::assert_snapshot!(planned(DEBIAN_12, &[debian_source()], &["createrepo_c"]));
}

#[test]
fn debian_13() {
    insta::assert_snapshot!(planned(DEBIAN_13, &[source(&["trixie"], None)], &[]));
}

#[test]
fn ubuntu() {
    insta::assert_snapshot!(planned(UBUNTU, &[source(&["noble"], None)], &[]));
}

#[test]
fn opensuse_leap() {
    insta::assert_snapshot!(planned(LEAP, &[], &[]));
}

#[test]
fn fedora() {
    insta::assert_snapshot!(planned(FEDORA, &[], &[]));
}

#[test]
fn an_unknown_distribution() {
    insta::assert_snapshot!(planned(UNKNOWN, &[], &["qemu-system-x86_64", "mke2fs"]));
}

#[test]
fn nothing_missing_needs_nothing_even_on_an_unknown_distribution() {
    assert_eq!(plan(&Distribution::parse(UNKNOWN), &[], &[]), Ok(Plan::default()));
}
