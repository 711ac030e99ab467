use super::*;
use rstest::rstest;
use std::io::Write as _;

/// A Debian package with these control files and these entries of data: kind, path, and target or text.
fn deb(control: &[(&str, &str)], data: &[(EntryType, &str, &str)]) -> tempfile::NamedTempFile {
    let mut packed = tar::Builder::new(Vec::new());
    for (name, text) in control {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        packed.append_data(&mut header, format!("./{name}"), text.as_bytes()).unwrap();
    }
    let control = packed.into_inner().unwrap();
    let mut packed = tar::Builder::new(Vec::new());
    for (kind, path, text) in data {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if *kind == EntryType::Directory { 0o755 } else { 0o4750 });
        header.set_uid(0);
        header.set_gid(8);
        header.set_mtime(7);
        header.set_username("root").unwrap();
        header.set_groupname("mail").unwrap();
        match kind {
            EntryType::Link | EntryType::Symlink => {
                header.set_size(0);
                packed.append_link(&mut header, path, text).unwrap();
            }
            _ => {
                header.set_size(text.len() as u64);
                packed.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
        }
    }
    let data = packed.into_inner().unwrap();
    let mut compressed = liblzma::write::XzEncoder::new(Vec::new(), 0);
    compressed.write_all(&data).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut archive = ar::Builder::new(file.reopen().unwrap());
    for (name, bytes) in
        [("debian-binary", b"2.0\n".to_vec()), ("control.tar", control), ("data.tar.xz", compressed.finish().unwrap())]
    {
        archive.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes.as_slice()).unwrap();
    }
    file
}

const CONTROL: (&str, &str) = ("control", "Package: a\nVersion: 1-2\nArchitecture: amd64\n");

#[test]
fn the_control_part_is_read() {
    let conffiles = "/etc/a.conf\nremove-on-upgrade /etc/old.conf\n/lib/udev/b.rules\n";
    let file = deb(&[CONTROL, ("conffiles", conffiles), ("postinst", "#!/bin/sh\n"), ("md5sums", "x")], &[]);
    let deb = Deb::open(file.path()).unwrap();
    assert_eq!(deb.control.version, "1-2");
    assert_eq!(deb.scripts.keys().collect::<Vec<_>>(), ["postinst"]);
    assert_eq!(deb.conffiles.iter().collect::<Vec<_>>(), ["/etc/a.conf", "/usr/lib/udev/b.rules"]);
}

#[test]
fn files_are_read_with_all_that_belongs_to_them() {
    let file = deb(
        &[CONTROL],
        &[
            (EntryType::Directory, "./usr/bin/", ""),
            (EntryType::Regular, "./bin/tool", "text"),
            (EntryType::Link, "./usr/bin/other", "./bin/tool"),
            (EntryType::Symlink, "./lib64/loader", "/lib/loader"),
            (EntryType::Regular, "./usr/share/doc/a/copyright", "no"),
        ],
    );
    let files = files(file.path(), |path| !path.starts_with("/usr/share/doc")).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["/usr/bin", "/usr/bin/other", "/usr/bin/tool", "/usr/lib64/loader"]);
    let tool = &files["/usr/bin/tool"];
    assert_eq!((tool.mode, tool.owner.as_str(), tool.group.as_str()), (0o4750, "root", "mail"));
    assert_eq!(
        (&tool.hard_link, &files["/usr/bin/other"].hard_link),
        (&Some("/usr/bin/tool".into()), &Some("/usr/bin/tool".into()))
    );
    assert!(matches!(&files["/usr/lib64/loader"].content, Content::Link(target) if target == "/lib/loader"));
}

#[rstest]
#[case::merged("./lib/systemd/system/a.service", "/usr/lib/systemd/system/a.service")]
#[case::not_merged("./etc/a", "/etc/a")]
#[case::alike("./libexec/a", "/libexec/a")]
#[case::the_link_itself("./bin", "/bin")]
#[case::a_directory("./usr/bin/", "/usr/bin")]
#[case::root("./", "/")]
#[case::hidden("./.rnd", "/.rnd")]
fn paths_are_those_of_the_machine(#[case] member: &str, #[case] path: &str) {
    assert_eq!(canonical(member), path);
}

#[test]
fn damage_is_named() {
    let file = deb(&[("control", "Package: a\n")], &[]);
    let error = Deb::open(file.path()).unwrap_err().to_string();
    assert!(error.contains("is no good Debian package: its control file has no `Version`"), "{error}");
    let whole = std::fs::read(deb(&[CONTROL], &[(EntryType::Regular, "./a", "text")]).path()).unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(cut.path(), &whole[..whole.len() - 60]).unwrap();
    assert!(files(cut.path(), |_| true).is_err());
    std::fs::write(cut.path(), "<html>404</html>").unwrap();
    assert!(Deb::open(cut.path()).unwrap_err().to_string().contains("is no good Debian package"));
}
