//! What real rpm reads in our packages.

use super::*;
use crate::distro::package::{Relations, Scriptlets};
use crate::distro::spec;
use crate::distro::version::Evr;
use crate::host::tools::which;
use crate::predict::entry::Algorithm;
use rstest::rstest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

/// A package with one of everything.
fn everything(digests: Algorithm) -> Package {
    let text = |text: &str| Content::File(Arc::new(text.as_bytes().to_vec()));
    let file = |content, mode, care| File { content, mode, care, modified: 1_500_000_000, ..File::default() };
    let linked = |hard_link: &str| File { hard_link: Some(hard_link.into()), ..file(text("twin"), 0o644, Care::None) };
    let files = BTreeMap::from([
        ("/etc/plain".to_owned(), file(text("plain"), 0o640, Care::None)),
        ("/etc/config".to_owned(), file(text("config"), 0o644, Care::Config)),
        ("/etc/kept".to_owned(), file(text(""), 0o644, Care::NoReplace)),
        ("/usr/bin/tool".to_owned(), File { group: "postdrop".into(), ..file(text("x"), 0o2555, Care::None) }),
        ("/usr/bin/[ 100%".to_owned(), file(text("odd"), 0o755, Care::None)),
        ("/usr/bin/one".to_owned(), linked("/usr/bin/one")),
        ("/usr/bin/two".to_owned(), linked("/usr/bin/one")),
        ("/usr/bin/link".to_owned(), file(Content::Link("tool".into()), 0o777, Care::None)),
        (
            "/var/lib/cyrus".to_owned(),
            File { owner: "cyrus".into(), group: "mail".into(), mode: 0o750, ..File::default() },
        ),
    ]);
    let need = |name: &str, version: Option<(&str, &str)>| Need {
        name: name.into(),
        version: version.map(|(sign, version)| (sign.into(), version.into())),
    };
    Package {
        name: "sample".into(),
        evr: Evr::of_debian("1:2.0-3"),
        noarch: false,
        summary: "one of everything".into(),
        section: "mail".into(),
        relations: Relations {
            requires: vec![need("netbase", None), need("libc6", Some((">=", "2.36")))],
            requires_before: vec![need("libc6", Some((">=", "2.36")))],
            provides: vec![need("imap", None)],
            conflicts: vec![need("courier-imap", None)],
            obsoletes: vec![need("sample-old", Some(("<", "2.0-1")))],
        },
        files,
        scriptlets: Scriptlets {
            post: Some(Scriptlet::shell("echo 100%")),
            preun: Some(Scriptlet::lua("if tonumber(arg[2]) == 0 then print('gone') end")),
            posttrans: Some(Scriptlet::shell("exec true")),
        },
        digests,
    }
}

fn query(file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("rpm").arg("-qp").args(arguments).arg(file).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// All that rpm says of a package, as far as it does not depend on who wrote it.
fn seen(file: &Path) -> String {
    const TAGS: &str = "%{NEVRA} group=%{GROUP} digests=%{FILEDIGESTALGO}\n";
    let mut seen = query(file, &["--qf", TAGS]);
    for argument in ["--dump", "--scripts", "--provides", "--conflicts", "--obsoletes"] {
        let lines = query(file, &[argument]);
        let lines: Vec<_> = lines.lines().filter(|line| !differs_by_writer(line)).map(without_time).collect();
        let _ = write!(seen, "== {argument}\n{}\n", lines.join("\n"));
    }
    let requires = query(file, &["--qf", "[%{REQUIREFLAGS:deptype} %{REQUIRENEVRS}\n]"]);
    let mut requires: Vec<_> = requires.lines().filter(|line| !differs_by_writer(line)).collect();
    requires.sort_unstable();
    format!("{seen}== --requires\n{}\n", requires.join("\n"))
}

/// What rpm itself must be able to do, among it its own interpreter, and a package's name for its own configuration.
fn differs_by_writer(line: &str) -> bool {
    ["rpmlib(", "config(", "<lua>"].iter().any(|word| line.contains(word)) && !line.contains("scriptlet")
}

/// A line of `--dump` without the time of what is no regular file: rpmbuild takes that of its own directory.
fn without_time(line: &str) -> String {
    let mut words: Vec<_> = line.split(' ').collect();
    if words.len() > 8 && words.iter().any(|word| word.starts_with("0120") || word.starts_with("040")) {
        words[2] = "-";
    }
    words.join(" ")
}

fn is_skipped(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| which(program).is_none());
    if let Some(missing) = missing {
        println!("skipped, because {missing} is not on this host (cargo xtask setup installs it)");
    }
    missing.is_some()
}

#[test]
fn rpm_reads_what_was_meant() {
    if is_skipped(&["rpm"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sample.rpm");
    by_crate(&everything(Algorithm::Sha256), &file).unwrap();
    insta::assert_snapshot!(seen(&file));
    let checked =
        Command::new("rpm").args(["-K", "--nosignature", "-v"]).arg(&file).env("LC_ALL", "C").output().unwrap();
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    let sums: Vec<_> = checked.lines().filter(|line| line.contains("digest")).collect();
    assert!(!sums.is_empty() && sums.iter().all(|line| line.ends_with(": OK")), "{checked}");
}

/// The two writers mean the same by the same package; only the crate cannot make MD5 digests.
#[rstest]
#[case::sha256(Algorithm::Sha256)]
#[case::md5(Algorithm::Md5)]
fn rpmbuild_writes_the_same(#[case] digests: Algorithm) {
    if is_skipped(&["rpm", "rpmbuild", "unshare"]) || !nix::unistd::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours.rpm", "theirs.rpm"].map(|name| directory.path().join(name));
    let package = everything(digests);
    spec::write(&package, &theirs, directory.path()).unwrap();
    if digests == Algorithm::Sha256 {
        by_crate(&package, &ours).unwrap();
        assert_eq!(seen(&theirs), seen(&ours));
    } else {
        // As rpm 4.11 wrote it: no algorithm is named, and the digest of `config` is the MD5.
        let seen = seen(&theirs);
        assert!(seen.contains("digests=(none)\n") && seen.contains("2245023265ae4cf87d02c8b6ba991139"), "{seen}");
    }
}

/// The same ingredients make the same bytes: a cache by content could not be trusted otherwise.
#[test]
fn the_same_package_is_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = ["one.rpm", "two.rpm"].map(|name| directory.path().join(name));
    for file in [&one, &two] {
        by_crate(&everything(Algorithm::Sha256), file).unwrap();
    }
    assert!(std::fs::read(one).unwrap() == std::fs::read(two).unwrap());
}

#[rstest]
#[case::one_set(&["a", "a"], false)]
#[case::one_after_the_other(&["a", "a", "b", "b"], false)]
#[case::one_within_the_other(&["a", "b", "b", "a"], true)]
#[case::in_turn(&["a", "b", "a", "b"], true)]
fn links_that_alternate_are_beyond_the_crate(#[case] sets: &[&str], #[case] beyond: bool) {
    let mut package = everything(Algorithm::Sha256);
    package.files.clear();
    for (number, set) in sets.iter().enumerate() {
        let file = File { hard_link: Some((*set).into()), ..File::default() };
        package.files.insert(format!("/usr/bin/{number}"), file);
    }
    assert_eq!(is_beyond_the_crate(&package), beyond);
}

/// Installed for real, in a root of its own, and verified by rpm; a change is noticed. As it is, and with hard links that
/// alternate as those of postfix do.
#[rstest]
#[case::plain(&[])]
#[case::alternating(&[("lmtp", "a"), ("nqmgr", "b"), ("qmgr", "b"), ("smtp", "a")])]
fn rpm_installs_it(#[case] links: &[(&str, &str)]) {
    if is_skipped(&["rpm", "rpmbuild", "unshare"]) || !nix::unistd::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sample.rpm");
    let mut package = everything(Algorithm::Sha256);
    // Users are those of the root, which has none.
    for file in package.files.values_mut() {
        (file.owner, file.group) = ("root".into(), "root".into());
    }
    for (name, set) in links {
        let content = Content::File(Arc::new(format!("the content of {set}").into_bytes()));
        let linked = File { content, hard_link: Some((*set).into()), ..File::default() };
        package.files.insert(format!("/usr/lib/postfix/{name}"), linked);
    }
    write(&package, &file, directory.path()).unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir_all(&root).unwrap();
    let rpm = |arguments: &[&str]| {
        let mut command = Command::new("rpm");
        command.arg("--root").arg(&root).args(["--dbpath", "/var/lib/rpm", "--nosignature"]).args(arguments);
        let output = command.env("LC_ALL", "C").output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (done, said) = rpm(&["-U", "--nodeps", "--noscripts", &file.display().to_string()]);
    assert!(done, "{said}");
    assert_eq!(std::fs::read_to_string(root.join("usr/bin/two")).unwrap(), "twin");
    assert_eq!(rpm(&["-V", "--nodeps", "--noscripts", "sample"]), (true, String::new()));
    std::fs::write(root.join("etc/plain"), "changed").unwrap();
    let (same, said) = rpm(&["-V", "--nodeps", "--noscripts", "sample"]);
    assert!(!same && said.starts_with("S.5....T.") && said.contains("/etc/plain"), "{said}");
}
