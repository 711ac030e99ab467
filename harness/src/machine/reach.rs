//! What QEMU may reach of this host, as a pure function of the [`Spec`]: itself, and the files of its machine.
//!
//! Found by trial where QEMU's documents are silent; what it inherits as a descriptor (channels, RAM of its own) it need not open.

use super::spec::{Accelerator, Boot, Origin, Spec};
use crate::host::confinement::Confinement;
use std::path::{Path, PathBuf};

/// Where programs, libraries and firmware are. Without those of its own place, a QEMU from elsewhere would not start.
const PROGRAMS: [&str; 6] = ["/usr", "/bin", "/lib", "/lib64", "/nix/store", "/sys/devices/system"];
/// What belongs to them: the places of libraries (ld.so(8)), processors for the C library, randomness for the guest.
const READ: [&str; 3] = ["/etc/ld.so.cache", "/proc/cpuinfo", "/dev/urandom"];
/// Beside a program that is not below /usr, what belongs to it is in these; not all of `share`, which below a home is full of
/// private things.
const BESIDE: [&str; 5] = ["lib", "lib64", "libexec", "share/qemu", "share/seabios"];

/// `captures` are the files for packets of its cards.
pub(super) fn reach(spec: &Spec, captures: &[PathBuf]) -> Confinement {
    let mut programs: Vec<_> = PROGRAMS.map(PathBuf::from).into();
    programs.push(spec.qemu.clone());
    let prefix = spec.qemu.parent().and_then(Path::parent).filter(|prefix| prefix.is_absolute());
    programs.extend(prefix.into_iter().flat_map(|prefix| BESIDE.map(|name| prefix.join(name))));

    let mut read: Vec<_> = READ.map(PathBuf::from).into();
    read.extend(spec.below.iter().chain(&spec.seed).chain(&spec.packages).cloned());
    read.extend(spec.guests.iter().flat_map(|guest| [guest.disk.clone(), guest.seed.clone()]));
    if let Boot::Direct { kernel, initrd, .. } = &spec.boot {
        read.extend([kernel].into_iter().chain(initrd).cloned());
    }
    match &spec.origin {
        Origin::Thawed(frozen) => read.extend([frozen.memory.clone(), frozen.devices.clone()]),
        Origin::Copied(frozen) => read.push(frozen.devices.clone()),
        Origin::PowerOn | Origin::Snapshot(_) => {}
    }

    let mut write = vec!["/dev/null".into(), "/dev/net/tun".into(), spec.disk.clone()];
    write.extend_from_slice(captures);
    if spec.accelerator == Accelerator::Kvm {
        write.push("/dev/kvm".into());
    }
    if spec.origin.can_be_frozen() {
        write.push(spec.devices());
    }
    Confinement { programs, read, write }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::spec::{Frozen, MachineName};

    fn spec(origin: Origin) -> Spec {
        Spec {
            name: MachineName::try_from("mail".to_owned()).unwrap(),
            qemu: "/opt/qemu/bin/qemu-system-x86_64".into(),
            accelerator: Accelerator::Kvm,
            memory_mib: 1024,
            origin,
            processors: 2,
            boot: Boot::Direct {
                kernel: "/images/mail/vmlinuz".into(),
                initrd: Some("/images/mail/initrd.img".into()),
                parameters: String::new(),
            },
            disk: "/labs/one/mail.qcow2".into(),
            below: vec!["/templates/one/mail.qcow2".into(), "/images/mail/disk.qcow2".into()],
            seed: Some("/labs/one/mail.seed".into()),
            packages: Some("/releases/leap/disk.img".into()),
            guests: Vec::new(),
            cards: Vec::new(),
        }
    }

    fn frozen() -> Frozen {
        Frozen { memory: "/templates/one/mail.memory".into(), devices: "/templates/one/mail.devices".into() }
    }

    /// What it thaws from it may read, and nothing beside its disk is written.
    #[test]
    fn a_thawed_guest_reaches_its_files() {
        let captures = ["/results/capture-mail-1.pcap".into()];
        insta::assert_debug_snapshot!(reach(&spec(Origin::Thawed(frozen())), &captures));
    }

    #[rstest::rstest]
    #[case::switched_on(Origin::PowerOn, &[])]
    #[case::copied(Origin::Copied(frozen()), &["/templates/one/mail.devices"])]
    fn a_guest_that_can_be_frozen_writes_the_state_of_its_devices(#[case] origin: Origin, #[case] read: &[&str]) {
        let (thawed, this) = (reach(&spec(Origin::Thawed(frozen())), &[]), reach(&spec(origin), &[]));
        assert!(this.write.contains(&"/labs/one/mail.devices".into()));
        assert!(!thawed.write.contains(&"/labs/one/mail.devices".into()));
        let of_template: Vec<_> = this
            .read
            .iter()
            .filter(|path| path.starts_with("/templates/one/") && path.extension() != Some("qcow2".as_ref()))
            .collect();
        assert_eq!(of_template, read);
    }
}
