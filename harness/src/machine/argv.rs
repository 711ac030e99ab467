//! QEMU's arguments, as a pure function of the [`Spec`].
//!
//! Source of every option: qemu(1), and QEMU's `docs/system`. The order of devices is part of what a frozen guest must
//! find again when it thaws: keep it.

use super::spec::{Accelerator, Boot, Origin, Spec};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The descriptors that QEMU inherits, by number in the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// QMP, the machine protocol.
    pub qmp: i32,
    /// The guest agent's virtio-serial port.
    pub agent: i32,
    /// The serial console.
    pub console: i32,
    /// The waker's virtio-serial port.
    pub waker: i32,
    /// The file in memory that is the guest's RAM, where there is one.
    pub memory: i32,
}

impl Descriptors {
    /// The numbers that every guest uses: the first after the standard streams.
    pub const INHERITED: Self = Self { qmp: 3, agent: 4, console: 5, waker: 6, memory: 7 };
}

/// QEMU's arguments for `spec`, without the program.
#[must_use]
pub fn argv(spec: &Spec, descriptors: Descriptors) -> Vec<OsString> {
    let mut arguments = Arguments::default();
    arguments.option("-name", format!("{},debug-threads=on", spec.name));
    arguments.flag("-nodefaults").flag("-no-user-config");
    arguments.option("-display", "none");
    arguments.option("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    platform(&mut arguments, spec);
    memory(&mut arguments, spec, descriptors);
    boot(&mut arguments, &spec.boot);
    disks(&mut arguments, spec);
    cards(&mut arguments, spec);
    channels(&mut arguments, descriptors);
    arguments.0
}

fn platform(arguments: &mut Arguments, spec: &Spec) {
    // Without HPET the kernel calibrates quicker under emulation; a small CPU model emulates less than `max`, and
    // `host` is right where instructions run natively.
    // Whoever runs guests of its own needs SVM, which QEMU emulates in an AMD processor. `erms` and `fsrm` tell a kernel to clear and
    // copy memory by `rep stosb` and `rep movsb`, quick in hardware and emulated byte by byte here: without them, what goes through
    // the page cache or a pipe takes a third of the time.
    let (accelerator, model) = match spec.accelerator {
        Accelerator::Kvm => ("kvm", "host"),
        Accelerator::Tcg if spec.guests.is_empty() => ("tcg,thread=multi,tb-size=256", "Nehalem"),
        Accelerator::Tcg => ("tcg,thread=multi,tb-size=512", "max,la57=off,erms=off,fsrm=off,+svm"),
    };
    arguments.option("-machine", "q35,hpet=off,memory-backend=ram0");
    arguments.option("-accel", accelerator);
    arguments.option("-cpu", model);
    arguments.option("-smp", spec.processors.to_string());
    arguments.option("-m", format!("{}M", spec.memory_mib));
}

fn memory(arguments: &mut Arguments, spec: &Spec, descriptors: Descriptors) {
    let backend = format!("memory-backend-file,id=ram0,size={}M", spec.memory_mib);
    let backend = match &spec.origin {
        Origin::PowerOn | Origin::Copied(_) | Origin::Snapshot(_) => {
            format!("{backend},share=on,mem-path=/proc/self/fd/{}", descriptors.memory)
        }
        // Read-only for the file, not for the guest: `rom=off` (QEMU 8.2, qapi/qom.json).
        Origin::Thawed(frozen) => {
            format!("{backend},share=off,readonly=on,rom=off,mem-path={}", escaped(&frozen.memory))
        }
    };
    arguments.option("-object", backend);
    match &spec.origin {
        Origin::PowerOn => {}
        Origin::Thawed(_) | Origin::Copied(_) => drop(arguments.option("-incoming", "defer")),
        Origin::Snapshot(name) => drop(arguments.option("-loadvm", name)),
    }
}

fn boot(arguments: &mut Arguments, boot: &Boot) {
    let Boot::Direct { kernel, initrd, parameters } = boot else { return };
    arguments.option("-kernel", kernel.as_os_str());
    if let Some(initrd) = initrd {
        arguments.option("-initrd", initrd.as_os_str());
    }
    arguments.option("-append", parameters);
}

fn disks(arguments: &mut Arguments, spec: &Spec) {
    // An overlay is thrown away with its lab: nothing in it is worth an fsync on the host.
    let cache = json!({ "no-flush": true });
    let file = json!({
        "driver": "file", "node-name": "disk-file", "filename": spec.disk.to_string_lossy(), "cache": cache, "discard": "unmap",
    });
    let disk = json!({
        "driver": "qcow2", "node-name": "disk", "file": file, "backing": standing_on(&spec.below), "cache": cache,
        "discard": "unmap",
    });
    arguments.option("-blockdev", disk.to_string());
    arguments.option("-device", "virtio-blk-pci,drive=disk,serial=disk");
    for (name, file) in [("seed", &spec.seed), ("packages", &spec.packages)] {
        let Some(file) = file else { continue };
        read_only(arguments, name, json!({ "driver": "raw", "file": read(file) }));
    }
    for guest in &spec.guests {
        let disk = json!({ "driver": "qcow2", "file": read(&guest.disk), "backing": null });
        read_only(arguments, &format!("{}-disk", guest.name), disk);
        read_only(arguments, &format!("{}-seed", guest.name), json!({ "driver": "raw", "file": read(&guest.seed) }));
    }
}

/// What a disk stands on is what we say, whatever its header names; and below the last one is nothing.
fn standing_on(below: &[PathBuf]) -> Value {
    let Some((first, others)) = below.split_first() else { return Value::Null };
    json!({ "driver": "qcow2", "file": read(first), "backing": standing_on(others), "read-only": true })
}

fn read(file: &Path) -> Value {
    json!({ "driver": "file", "filename": file.to_string_lossy(), "read-only": true })
}

/// A disk that is known by the serial number `name`.
fn read_only(arguments: &mut Arguments, name: &str, mut disk: Value) {
    disk["node-name"] = name.into();
    disk["read-only"] = true.into();
    arguments.option("-blockdev", disk.to_string());
    arguments.option("-device", format!("virtio-blk-pci,drive={name},serial={name}"));
}

fn cards(arguments: &mut Arguments, spec: &Spec) {
    for (index, card) in spec.cards.iter().enumerate() {
        arguments.option("-netdev", format!("tap,id=net{index},ifname={},script=no,downscript=no,vhost=off", card.tap));
        // No option ROM: nothing boots from the network.
        arguments.option("-device", format!("virtio-net-pci,netdev=net{index},mac={},romfile=", card.mac));
    }
}

fn channels(arguments: &mut Arguments, descriptors: Descriptors) {
    arguments.option("-object", "rng-random,id=entropy,filename=/dev/urandom");
    arguments.option("-device", "virtio-rng-pci,rng=entropy");
    arguments.option("-device", "virtio-serial-pci");
    arguments.option("-chardev", format!("socket,id=agent,fd={}", descriptors.agent));
    arguments.option("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0");
    arguments.option("-chardev", format!("socket,id=waker,fd={}", descriptors.waker));
    arguments.option("-device", format!("virtserialport,chardev=waker,name={}", crate::machine::clock_sync::PORT));
    arguments.option("-chardev", format!("socket,id=console,fd={}", descriptors.console));
    arguments.option("-serial", "chardev:console");
    arguments.option("-chardev", format!("socket,id=qmp,fd={}", descriptors.qmp));
    arguments.option("-mon", "chardev=qmp,mode=control");
}

/// A path inside a comma-separated option: commas are doubled (qemu(1), "-drive").
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    fn option(&mut self, option: &str, value: impl Into<OsString>) -> &mut Self {
        self.0.push(option.into());
        self.0.push(value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::spec::{Frozen, Guest, MachineName, NetworkCard};
    use crate::network::{MacAddress, TapName};

    fn spec() -> Spec {
        Spec {
            name: MachineName::try_from("mail".to_owned()).unwrap(),
            qemu: "qemu-system-x86_64".into(),
            accelerator: Accelerator::Tcg,
            memory_mib: 1024,
            origin: Origin::PowerOn,
            processors: 2,
            boot: Boot::Direct {
                kernel: "/images/vmlinuz".into(),
                initrd: Some("/images/initrd.img".into()),
                parameters: "root=/dev/vda console=ttyS0".into(),
            },
            disk: "/labs/a,b/mail.qcow2".into(),
            below: vec!["/templates/a,b/mail.qcow2".into(), "/images/mail/disk.qcow2".into()],
            seed: Some("/labs/a,b/mail.seed".into()),
            packages: Some("/releases/leap/disk.img".into()),
            guests: Vec::new(),
            cards: vec![NetworkCard { mac: MacAddress::numbered(0), tap: TapName::numbered(0) }],
        }
    }

    fn text(spec: &Spec) -> String {
        let lines: Vec<_> =
            argv(spec, Descriptors::INHERITED).iter().map(|part| part.to_string_lossy().into_owned()).collect();
        lines.join("\n").replace("\n-", "\n\n-").replace("\n\n", "\u{0}").replace('\n', " ").replace('\u{0}', "\n")
    }

    #[test]
    fn a_guest_with_everything() {
        insta::assert_snapshot!(text(&spec()));
    }

    /// What differs is where RAM comes from, and nothing that the frozen guest would miss.
    #[rstest::rstest]
    #[case::thawed(Origin::Thawed(frozen()), &["-object memory-backend-file,id=ram0,size=1024M,share=off,readonly=on,rom=off,mem-path=/templates/a,,b/mail.memory", "-incoming defer"])]
    #[case::copied(Origin::Copied(frozen()), &["-incoming defer"])]
    #[case::from_a_snapshot(Origin::Snapshot("kept".into()), &["-loadvm kept"])]
    fn a_guest_that_goes_on_has_the_same_devices(#[case] origin: Origin, #[case] other: &[&str]) {
        let (cold, thawed) = (text(&spec()), text(&Spec { origin, ..spec() }));
        let new: Vec<_> = thawed.lines().filter(|line| !cold.lines().any(|other| other == *line)).collect();
        assert_eq!(new, other);
        assert_eq!(thawed.lines().count(), cold.lines().count() + 1);
    }

    fn frozen() -> Frozen {
        Frozen { memory: "/templates/a,b/mail.memory".into(), devices: "/templates/a,b/mail.devices".into() }
    }

    /// It finds the image and the seed of its guest, and has a processor that can run one.
    #[test]
    fn a_host_of_guests() {
        let guest = Guest {
            name: MachineName::try_from("mail".to_owned()).unwrap(),
            disk: "/images/mail/disk.qcow2".into(),
            seed: "/labs/a,b/mail.seed".into(),
        };
        let plain = text(&spec());
        let host = text(&Spec { guests: vec![guest], ..spec() });
        let new: Vec<_> = host.lines().filter(|line| !plain.lines().any(|other| other == *line)).collect();
        insta::assert_snapshot!(new.join("\n"), @r#"
        -accel tcg,thread=multi,tb-size=512
        -cpu max,la57=off,erms=off,fsrm=off,+svm
        -blockdev {"backing":null,"driver":"qcow2","file":{"driver":"file","filename":"/images/mail/disk.qcow2","read-only":true},"node-name":"mail-disk","read-only":true}
        -device virtio-blk-pci,drive=mail-disk,serial=mail-disk
        -blockdev {"driver":"raw","file":{"driver":"file","filename":"/labs/a,b/mail.seed","read-only":true},"node-name":"mail-seed","read-only":true}
        -device virtio-blk-pci,drive=mail-seed,serial=mail-seed
        "#);
    }

    #[test]
    fn kvm_runs_the_hosts_processor() {
        let kvm = text(&Spec { accelerator: Accelerator::Kvm, ..spec() });
        assert!(kvm.contains("-accel kvm\n-cpu host\n"), "{kvm}");
    }
}
