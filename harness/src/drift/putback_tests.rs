use super::*;
use crate::drift::Drift;
use crate::drift::collect::tests::inventory;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// Like the paths of a guest whose root is at `root`: as they are on this host.
fn on_host(root: &Path, orders: &[u8]) -> Vec<u8> {
    let mut bytes = orders;
    let mut translated = Vec::new();
    while let Some((letter, fields)) = crate::drift::collect::record(&mut bytes) {
        let place = fields.first().map(|path| [root.as_os_str().as_encoded_bytes(), path].concat());
        let fields: Vec<_> = place.iter().map(Vec::as_slice).chain(fields.into_iter().skip(1)).collect();
        record(&mut translated, letter, &fields);
    }
    translated
}

fn run(orders: &[u8]) -> Result<(), String> {
    let mut command = Command::new("perl");
    let command = command.args(["-e", PUT_BACK]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("perl is here");
    child.stdin.take().unwrap().write_all(orders).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn write(root: &Path, path: &str, content: &str, mode: u32) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, content).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn everything_is_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "etc/pam.d/imap", "pam_sss\n", 0o640);
    write(root, "etc/main.cf", "old\n", 0o644);
    write(root, "etc/mode", "m", 0o600);
    write(root, "etc/gone/deep/file", "deep", 0o755);
    fs::set_permissions(root.join("etc/gone/deep"), fs::Permissions::from_mode(0o711)).unwrap();
    write(root, "etc/becomes-link", "file", 0o644);
    symlink("main.cf", root.join("etc/link")).unwrap();
    let (before, contents) = inventory(root);
    fs::remove_file(root.join("etc/pam.d/imap")).unwrap();
    write(root, "etc/main.cf", "new\n", 0o644);
    fs::set_permissions(root.join("etc/mode"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_dir_all(root.join("etc/gone")).unwrap();
    for (path, target) in [("etc/becomes-link", "x"), ("etc/link", "y")] {
        fs::remove_file(root.join(path)).unwrap();
        symlink(target, root.join(path)).unwrap();
    }
    write(root, "etc/added", "a", 0o644);
    let (after, _) = inventory(root);
    let drift = Drift::between(&before, &after, None);
    let changes: Vec<_> = drift.changes.iter().filter(|change| change.can_be_put_back()).collect();
    assert_eq!(changes.len(), 7, "{drift}");
    run(&on_host(root, &orders(&changes, &before, &contents).unwrap())).unwrap();
    let (now, _) = inventory(root);
    assert_eq!(now.files, before.files);
    // And a second time, where all is well already.
    run(&on_host(root, &orders(&changes, &before, &contents).unwrap())).unwrap();
    assert_eq!(inventory(root).0.files, before.files);
}

#[test]
fn what_was_not_kept_is_no_empty_file() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "etc/a", "x", 0o644);
    let (before, _) = inventory(root.path());
    fs::remove_file(root.path().join("etc/a")).unwrap();
    let (after, _) = inventory(root.path());
    let drift = Drift::between(&before, &after, None);
    let error = can_put_back(&drift.changes[0], &before, &Contents::default()).unwrap_err().to_string();
    assert!(error.contains("/etc/a") && error.contains("not kept"), "{error}");
}

#[rstest::rstest]
#[case::cut(b"F\x05\x00", "ends too early")]
#[case::nothing(b"", "ends too early")]
#[case::unknown(b"Q\x00", "unknown")]
fn bad_orders_are_errors(#[case] orders: &[u8], #[case] words: &str) {
    let error = run(orders).unwrap_err();
    assert!(error.contains(words), "{error}");
}

/// A large file's content is not kept, and its mode can be given back all the same.
#[test]
fn attributes_are_put_back_without_the_content() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "etc/a", "x", 0o600);
    let (before, _) = inventory(root.path());
    fs::set_permissions(root.path().join("etc/a"), fs::Permissions::from_mode(0o644)).unwrap();
    let (after, _) = inventory(root.path());
    let drift = Drift::between(&before, &after, None);
    let changes: Vec<_> = drift.changes.iter().collect();
    let orders = orders(&changes, &before, &Contents::default()).unwrap();
    run(&on_host(root.path(), &orders)).unwrap();
    assert_eq!(inventory(root.path()).0.files, before.files);
}
