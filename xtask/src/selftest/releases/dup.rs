//! The upgrade itself: `zypper dup` by the older release's own zypper, in a chroot. No service runs, but every scriptlet does.

use super::{LOSS, complaints, is_expected, rpm};
use crate::selftest::Outcome;
use anyhow::{Context as _, ensure};
use harness::distro::Release;
use harness::host::raw::tie_to_thread;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What an administrator has written into the files of services.
const EDITED: &str = "#%PAM-1.0\nauth sufficient pam_unix.so\nauth required pam_sss.so use_first_pass\n";

/// Upgrades what lies in `root`, and looks at what came of it.
pub(super) fn run(before: &Release, after: &Release, root: &Path, workspace: &Path) -> anyhow::Result<Outcome> {
    let repository = root.join("srv/repository");
    fs_err::create_dir_all(&repository)?;
    for file in after.rpms(Some(LOSS)) {
        fs_err::hard_link(&file, repository.join(file.file_name().unwrap_or_default()))?;
    }
    let output = Command::new("createrepo_c").arg("--quiet").arg(&repository).output()?;
    ensure!(output.status.success(), "createrepo_c: {}", String::from_utf8_lossy(&output.stderr));
    prepare(before, root)?;
    let words = ["addrepo -f -G dir:///srv/repository next", "refresh", "dup --allow-vendor-change --replacefiles"];
    let mut said = String::new();
    for word in words {
        let output = within(root, workspace, &format!("zypper --non-interactive --no-gpg-checks {word}"))?;
        said = complaints(&output);
        ensure!(output.status.success(), "zypper {word}: {}", tail(&said));
    }
    ensure!(!said.contains("scriptlet failed"), "{}", tail(&said));
    let steps = said.lines().filter(|line| line.starts_with("Retrieving package ")).count();
    came(after, root)?;
    lost(root)?;
    booted(root)?;
    let output = within(root, workspace, "rpm -Va --nodeps --noscripts")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong: Vec<_> = text.lines().filter(|line| !is_expected(line)).collect();
    ensure!(wrong.is_empty(), "rpm -Va: {}", wrong.join("\n"));
    Ok(Outcome::Passed(format!(
        "{steps} packages came; rpm -Va says {} lines, all of them expected",
        text.lines().count()
    )))
}

/// Puts dpkg's data aside, enters the variant, and does what the administrator did.
fn prepare(before: &Release, root: &Path) -> anyhow::Result<()> {
    for data in ["info", "status"] {
        fs_err::rename(root.join("var/lib/dpkg").join(data), root.join("srv").join(data))?;
    }
    let flags = ["-U", "--justdb", "--nodeps", "--noscripts", "--replacepkgs", "--force"].map(PathBuf::from);
    let output = rpm(root, flags.iter().chain(&before.rpms_of_variant(LOSS)))?;
    ensure!(output.status.success(), "{}", complaints(&output));
    for name in ["imap", "smtp", "pop", "sieve"] {
        fs_err::write(root.join("etc/pam.d").join(name), EDITED)?;
    }
    for entry in fs_err::read_dir(root.join("etc/pam.d"))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("common-")) {
            let text = fs_err::read_to_string(&path)?;
            let local: Vec<_> = text.lines().filter(|line| !line.contains("pam_sss")).collect();
            fs_err::write(&path, local.join("\n") + "\n")?;
        }
    }
    let output = Command::new("systemctl").arg("--root").arg(root).args(["enable", "saslauthd.service"]).output()?;
    let links = root.join("etc/rc3.d");
    if !output.status.success() || !links.join("S01saslauthd").exists() {
        // An init script is enabled by its links, which this host's systemctl may not make in another root.
        let _ = fs_err::remove_file(links.join("K01saslauthd"));
        std::os::unix::fs::symlink("../init.d/saslauthd", links.join("S01saslauthd"))?;
    }
    Ok(())
}

/// Runs a command in the root, with /proc and a /run of its own; nothing of it is left afterwards.
fn within(root: &Path, workspace: &Path, command: &str) -> anyhow::Result<Output> {
    // rpm 4.20 wants a root that is a mount point.
    let script = "mount --bind \"$1\" \"$1\" && mount -t proc proc \"$1/proc\" && mount -t tmpfs -o mode=0755 run \"$1/run\" && \
        exec chroot \"$1\" /bin/sh -c \"$2\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--fork", "--pid", "--kill-child", "--mount", "--", "sh", "-c", script, "sh"]).arg(root).arg(command);
    unshare.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8").env("HOME", "/root");
    unshare.current_dir(workspace).stdin(Stdio::null());
    tie_to_thread(&mut unshare).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(unshare.spawn()?.wait_with_output()?)
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("Retrieving ")).collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Every package of the newer release is there, in its version.
fn came(after: &Release, root: &Path) -> anyhow::Result<()> {
    let output = rpm(root, ["-qa", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let installed: BTreeSet<&str> = text.lines().collect();
    let version = |evr: &str| evr.split_once(':').map_or(evr, |(_, rest)| rest).to_owned();
    let missing = after.manifest.packages.iter().map(|made| format!("{} {}", made.name, version(&made.evr)));
    let missing: Vec<_> = missing.filter(|line| !installed.contains(line.as_str())).collect();
    ensure!(missing.is_empty(), "not installed: {}", missing.join(", "));
    Ok(())
}

/// The picture of the story: two files without a backup, two with one, and common files as the administrator left them.
fn lost(root: &Path) -> anyhow::Result<()> {
    let directory = root.join("etc/pam.d");
    let names = fs_err::read_dir(&directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: BTreeSet<String> = names.collect::<std::io::Result<_>>()?;
    for gone in ["imap", "smtp"] {
        let left: Vec<_> = names.iter().filter(|name| name.starts_with(gone)).collect();
        ensure!(left.is_empty(), "of {gone} there is {left:?}");
    }
    for saved in ["pop", "sieve"] {
        let backup = format!("{saved}.rpmsave");
        ensure!(names.contains(saved) && names.contains(&backup), "of {saved} there is no backup: {names:?}");
        ensure!(fs_err::read_to_string(directory.join(&backup))? == EDITED, "{backup} is not what was edited");
    }
    for common in names.iter().filter(|name| name.starts_with("common-")) {
        ensure!(!fs_err::read_to_string(directory.join(common))?.contains("pam_sss"), "pam_sss is back in {common}");
    }
    Ok(())
}

/// What the next boot needs: the release's name, the kernel with its initramfs, and services that are enabled.
fn booted(root: &Path) -> anyhow::Result<()> {
    let release = fs_err::read_to_string(root.join("usr/lib/os-release"))?;
    ensure!(release.contains("VERSION_ID=\"15.0\""), "{release}");
    let names = fs_err::read_dir(root.join("boot"))?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: BTreeSet<String> = names.collect::<std::io::Result<_>>()?;
    for kernel in names.iter().filter_map(|name| name.strip_prefix("vmlinuz-")) {
        ensure!(names.contains(&format!("initrd.img-{kernel}")), "kernel {kernel} has no initramfs: {names:?}");
    }
    let newest = fs_err::read_link(root.join("vmlinuz")).context("there is no link to the kernel")?;
    ensure!(newest.to_string_lossy().contains("vmlinuz-6.12"), "/vmlinuz leads to {}", newest.display());
    for service in ["saslauthd", "postfix", "cyrus-imapd", "sssd"] {
        let link = root.join(format!("etc/systemd/system/multi-user.target.wants/{service}.service"));
        ensure!(fs_err::symlink_metadata(&link).is_ok(), "{service} does not start at boot any more");
    }
    Ok(())
}
