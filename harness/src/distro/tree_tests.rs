use super::*;

fn tree(entries: &[(&str, &str, u32, u64, u64)]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut tar = tar::Builder::new(file.reopen().unwrap());
    for (path, text, mode, user, group) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(*mode);
        header.set_uid(*user);
        header.set_gid(*group);
        header.set_mtime(7);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.finish().unwrap();
    file
}

#[test]
fn owners_modes_and_byte_code_are_seen_by_package() {
    let tree = tree(&[
        ("./etc/passwd", "root:x:0:0::/:/bin/sh\ncyrus:x:102:8::/:/bin/sh\n", 0o644, 0, 0),
        ("./etc/group", "root:x:0:\nmail:x:8:\n", 0o644, 0, 0),
        ("./var/lib/cyrus", "", 0o750, 102, 8),
        ("./usr/lib/python3/a/b.py", "", 0o644, 0, 0),
        ("./usr/lib/python3/a/__pycache__/b.cpython-311.pyc", "code", 0o644, 0, 0),
        ("./var/lib/dpkg/info/cyrus:amd64.list", "/.\n/var/lib/cyrus\n/lib/python3/a/b.py\n/gone\n", 0o644, 0, 0),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let harvested = harvest(tree.path(), directory.path()).unwrap();
    let cyrus = &harvested["cyrus"];
    let expected = Attributes { mode: 0o750, owner: "cyrus".into(), group: "mail".into(), link: None };
    assert_eq!(cyrus.attributes["/var/lib/cyrus"], expected);
    assert!(!cyrus.attributes.contains_key("/gone"));
    let code = "/usr/lib/python3/a/__pycache__/b.cpython-311.pyc";
    assert_eq!(cyrus.bytecode.iter().collect::<Vec<_>>(), [(&code.to_owned(), &7)]);
    assert_eq!(std::fs::read_to_string(directory.path().join(&code[1..])).unwrap(), "code");
}
