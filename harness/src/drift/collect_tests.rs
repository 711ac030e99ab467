use super::*;
use crate::drift::Flag;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

/// Runs the collector on the system below `root`.
fn answer(root: &Path, limit: u64) -> Vec<u8> {
    let output =
        Command::new("perl").args(["-e", COLLECTOR]).arg(root).arg(limit.to_string()).output().expect("perl is here");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub(in crate::drift) fn inventory(root: &Path) -> (Inventory, Contents) {
    understand("mail", &answer(root, LARGEST), |text| text.replace("hunter2", "******")).unwrap()
}

fn write(root: &Path, path: &str, content: &[u8], mode: u32) {
    let place = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, content).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
}

fn entry<'a>(inventory: &'a Inventory, path: &str) -> &'a Entry {
    &inventory.files[&GuestPath::from(path)]
}

#[test]
fn a_system_of_dpkg_is_told() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let sum = "0123456789abcdef0123456789abcdef";
    let status = format!(
        "Package: postfix\nStatus: install ok installed\nVersion: 3.7.11-0\nConffiles:\n /etc/postfix/x {sum}\n \
         /etc/old {sum} obsolete\n /usr/share/elsewhere.conf {sum}\nDescription: x\n\nPackage: gone\nStatus: deinstall ok \
         config-files\nVersion: 1\nConffiles:\n /etc/gone.conf {sum}\n\n"
    );
    write(root, "/var/lib/dpkg/status", status.as_bytes(), 0o644);
    let list = b"/.\n/etc\n/etc/postfix\n/etc/postfix/x\n/etc/postfix/plain\n/usr/bin/postfix\n";
    write(root, "/var/lib/dpkg/info/postfix:amd64.list", list, 0o644);
    for path in ["/etc/postfix/x", "/etc/postfix/plain", "/etc/old", "/etc/gone.conf", "/etc/nobodys"] {
        write(root, path, path.as_bytes(), 0o644);
    }
    write(root, "/usr/share/elsewhere.conf", b"e", 0o644);
    write(root, "/usr/share/not-config", b"n", 0o644);
    symlink("postfix/x", root.join("etc/link")).unwrap();
    let (inventory, _) = inventory(root);
    assert_eq!(inventory.manager, Manager::Dpkg);
    assert_eq!(inventory.label("postfix"), "postfix 3.7.11-0");
    assert!(!inventory.packages.contains_key("gone"));
    let claims = |path| entry(&inventory, path).claims.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    assert_eq!(claims("/etc/postfix/x"), "postfix (config)");
    assert_eq!(claims("/etc/postfix/plain"), "postfix");
    assert_eq!(claims("/etc/old"), "postfix (config, obsolete)");
    assert_eq!(claims("/usr/share/elsewhere.conf"), "postfix (config)");
    assert_eq!(claims("/etc/nobodys"), "");
    assert_eq!(claims("/etc/postfix"), "");
    assert_eq!(entry(&inventory, "/etc/link").what, What::Link { target: GuestPath::from("postfix/x") });
    assert!(!inventory.files.contains_key(&GuestPath::from("/usr/share/not-config")));
}

#[test]
fn what_is_private_is_a_digest_and_secrets_are_redacted() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "/etc/open", b"password hunter2\n", 0o644);
    write(root, "/etc/shadow", b"root:hash\n", 0o640);
    write(root, "/etc/key.pem", b"-----BEGIN EC PRIVATE KEY-----\n", 0o644);
    write(root, "/etc/binary", b"\x80\xff", 0o644);
    write(root, "/etc/closed/open", b"hidden\n", 0o644);
    fs::set_permissions(root.join("etc/closed"), fs::Permissions::from_mode(0o750)).unwrap();
    let (inventory, contents) = inventory(root);
    assert_eq!(entry(&inventory, "/etc/open").text(), Some("password ******\n"));
    for path in ["/etc/shadow", "/etc/key.pem", "/etc/binary", "/etc/closed/open"] {
        assert_eq!(entry(&inventory, path).text(), None, "{path}");
    }
    let json = serde_json::to_string(&inventory).unwrap();
    assert!(!["hunter2", "root:hash", "BEGIN", "hidden"].iter().any(|secret| json.contains(secret)), "{json}");
    assert_eq!(serde_json::from_str::<Inventory>(&json).unwrap(), inventory);
    // What puts files back has them all.
    let shadow = entry(&inventory, "/etc/shadow").digest().unwrap();
    assert_eq!(contents.get(shadow), Some(b"root:hash\n".as_slice()));
}

#[test]
fn odd_names_and_large_files_are_told() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "/etc/a\nb", b"newline", 0o600);
    write(root, "/etc/large", &[b'x'; 100], 0o644);
    write(root, "/etc/empty", b"", 0o4755);
    let (inventory, contents) = understand("mail", &answer(root, 50), str::to_owned).unwrap();
    assert_eq!(entry(&inventory, "/etc/a\nb").mode, "0600");
    assert_eq!(entry(&inventory, "/etc/empty").mode, "4755");
    let large = Digest::of(&[b'x'; 100]);
    assert_eq!(entry(&inventory, "/etc/large").what, What::File { size: 100, sha256: large.clone(), text: None });
    assert_eq!(contents.get(&large), None);
}

#[test]
fn half_an_answer_is_none() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "/etc/a", b"content", 0o644);
    let whole = answer(root.path(), LARGEST);
    for length in 0..whole.len() {
        assert!(understand("mail", &whole[..length], str::to_owned).is_err(), "{length} bytes");
    }
}

#[test]
fn what_the_collector_could_not_do_is_the_error() {
    let error = understand("mail", b"E\x01\0\0\0\x07no perl", str::to_owned).unwrap_err();
    assert_eq!(error, "no perl");
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn an_answer_is_unpacked_up_to_a_limit() {
    assert_eq!(unpacked(&packed(b"records"), 7).unwrap(), b"records");
    assert_eq!(unpacked(&packed(b"records"), 6).unwrap_err(), "unpacked it has more than 6 B");
    assert!(unpacked(b"no gzip", 7).is_err());
    assert!(unpacked(&packed(b"records")[..15], 7).is_err(), "it is cut");
}

/// With the rpm of this host: a package is made, and installed into a directory of its own.
#[test]
fn a_system_of_rpm_is_told() {
    let is_here = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !is_here("rpm") || !is_here("rpmbuild") {
        eprintln!("skipped: there is no rpm or rpmbuild on this host");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    let spec = "Name: demo\nEpoch: 2\nVersion: 1.0\nRelease: 3\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n\
                %install\nmkdir -p %{buildroot}/etc %{buildroot}/opt\nfor f in etc/plain etc/config etc/noreplace opt/conf opt/data; \
                do echo $f > %{buildroot}/$f; done\n%files\n/etc/plain\n%config /etc/config\n%config(noreplace) /etc/noreplace\n\
                %config /opt/conf\n/opt/data\n";
    fs::write(directory.path().join("demo.spec"), spec).unwrap();
    let run = |command: &mut Command| {
        let output = command.env("HOME", directory.path()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let top = format!("_topdir {}", directory.path().join("build").display());
    run(Command::new("rpmbuild").args(["-bb", "--define", &top]).arg(directory.path().join("demo.spec")));
    let package = directory.path().join("build/RPMS/noarch/demo-1.0-3.noarch.rpm");
    let rpm = || {
        let mut command = Command::new("rpm");
        command.arg("--root").arg(&root).args(["--dbpath", "/var/lib/rpm"]);
        command
    };
    run(rpm().arg("--initdb"));
    run(rpm().args(["-i", "--nodeps", "--noscripts"]).arg(&package));
    let (inventory, _) = inventory(&root);
    assert_eq!((inventory.manager, inventory.label("demo")), (Manager::Rpm, "demo 2:1.0-3".into()));
    let flags = |path| entry(&inventory, path).claims[0].flags.iter().copied().collect::<Vec<_>>();
    assert_eq!(flags("/etc/plain"), []);
    assert_eq!(flags("/etc/config"), [Flag::Config]);
    assert_eq!(flags("/etc/noreplace"), [Flag::Config, Flag::Noreplace]);
    assert_eq!(flags("/opt/conf"), [Flag::Config]);
    assert!(!inventory.files.contains_key(&GuestPath::from("/opt/data")));
}
