//! The name of a lab's template: equal names, equal labs.

use super::setup::{LabError, Setup};
use super::template::FORMAT;
use super::topology::Topology;
use crate::cache::{ContentKey, EntryName};
use crate::host::accelerator::Accelerator;
use crate::machine::Origin;
use crate::machine::argv::{Descriptors, argv};
use serde::Serialize;
use std::path::Path;

/// The digest of the code that carries out steps and judges them (`build.rs`).
const STEPS: &str = env!("REHEARSAL_STEPS_DIGEST");

/// The digest of the code that acts on a lab until it is frozen (`build.rs`).
const TEMPLATES: &str = env!("REHEARSAL_TEMPLATES_DIGEST");

/// The entry of a lab's template: its key covers all that went in.
/// `ready` says when it is ready.
pub(super) fn entry(topology: &Topology, setup: &Setup, ready: &str) -> Result<EntryName, LabError> {
    let mut ingredients = vec![format!("format {FORMAT}"), TEMPLATES.to_owned(), setup.qemu_version.clone()];
    ingredients.push(match setup.accelerator {
        Accelerator::Tcg => setup.accelerator.name().to_owned(),
        Accelerator::Kvm => data(&KvmHost::here())?,
    });
    // A guest that was frozen goes on to tell the time by the counter of the host that thaws it.
    ingredients.extend(setup.counter.map(|counter| format!("counter {} kHz", counter.khz())));
    ingredients.extend([topology.domain.clone(), ready.to_owned()]);
    ingredients.extend(topology.accounts.iter().cloned());
    ingredients.extend([data(&topology.segments)?, data(&topology.hosts())?]);
    for (index, machine) in topology.present() {
        let spec = setup.spec(topology, index, Path::new("/"), Origin::PowerOn)?;
        let arguments = argv(&spec, Descriptors::INHERITED);
        ingredients.extend(arguments.iter().map(|argument| argument.to_string_lossy().into_owned()));
        let media = setup.media_of(machine)?;
        ingredients.extend([media.disk.display().to_string(), media.entry.to_string()]);
        ingredients.extend(setup.roles.contents(&machine.role)?);
        for (_, guest) in topology.inside(machine.name.get_ref()) {
            ingredients.push(setup.media_of(guest)?.entry.to_string());
            ingredients.extend(setup.roles.contents(&guest.role)?);
        }
    }
    Ok(EntryName::new(&topology.name, &ContentKey::of(ingredients.iter().map(String::as_bytes))))
}

/// The entry of a checkpoint that is kept: its key covers the lab's template, what `history` says of all that was done
/// since, and the code that did it.
pub(super) fn checkpoint_entry(
    template: &EntryName,
    name: &str,
    history: &impl Serialize,
) -> Result<EntryName, LabError> {
    let ingredients = [STEPS.to_owned(), template.to_string(), data(history)?];
    Ok(EntryName::new(name, &ContentKey::of(ingredients.iter().map(String::as_bytes))))
}

/// A value as an ingredient of a key.
fn data(value: &impl Serialize) -> Result<String, LabError> {
    serde_json::to_string(value).map_err(LabError::Key)
}

/// What a guest under KVM takes from its host. The state of its processor means nothing to another model, and what one
/// kernel offers may be missing in the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct KvmHost {
    /// The lines of /proc/cpuinfo with model and features.
    processor: Vec<String>,
    /// The kernel's release.
    kernel: String,
    /// Whether guests see the processor's virtualisation, by module.
    nested: Vec<(&'static str, String)>,
}

impl KvmHost {
    fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let modules = ["kvm_amd", "kvm_intel"];
        Self {
            processor: processor(&read("/proc/cpuinfo")),
            kernel: read("/proc/sys/kernel/osrelease"),
            nested: modules.map(|module| (module, read(&format!("/sys/module/{module}/parameters/nested")))).into(),
        }
    }
}

fn processor(cpuinfo: &str) -> Vec<String> {
    let wanted = |line: &&str| line.starts_with("model name") || line.starts_with("flags");
    cpuinfo.lines().filter(wanted).take(2).map(str::to_owned).collect()
}

#[cfg(test)]
#[expect(dead_code, reason = "only its functions are tested")]
#[path = "../../build.rs"]
mod build;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::counter::Frequency;
    use crate::lab::Media;
    use crate::lab::topology::Definition;
    use crate::machine::Boot;
    use crate::network::Segment;
    use crate::seed::Templates;
    use crate::time::TimeoutScale;
    use std::collections::BTreeMap;

    fn setup() -> Setup {
        let medium = |name: &str| {
            let entry = EntryName::new(name, &ContentKey::of([name.as_bytes()]));
            let disk = format!("/cache/images/{entry}/disk.qcow2").into();
            (name.to_owned(), Media { entry, disk, boot: Boot::Disk })
        };
        Setup {
            media: BTreeMap::from([medium("mail"), medium("directory")]),
            packages: BTreeMap::new(),
            roles: Templates::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloud-init")),
            qemu: "qemu-system-x86_64".into(),
            qemu_version: "QEMU emulator version 10.0.2".into(),
            accelerator: Accelerator::Tcg,
            counter: None,
            tempo: TimeoutScale::REFERENCE.into(),
            workspaces: "/cache/labs".into(),
        }
    }

    #[derive(serde::Deserialize)]
    struct Parts {
        segment: Vec<Segment>,
        machine: Vec<Definition>,
    }

    fn topology() -> Topology {
        let machine = |name: &str, last: u8| {
            format!(
                "[[machine]]\nname = \"{name}\"\nimage = \"{name}\"\nrole = \"{name}\"\nsegment = \"lan\"\n\
                 address = \"10.20.0.{last}\"\nmemory_mib = 1024\nprocessors = 2\n"
            )
        };
        let segment = "[[segment]]\nname = \"lan\"\nprefix = \"10.20.0.0/24\"\n";
        let text = [segment, &machine("mail", 10), &machine("directory", 20)].concat();
        let Parts { segment, machine } = toml::from_str(&text).unwrap();
        Topology::new("lan".into(), "lan.test".into(), vec!["alice".into()], segment, machine).unwrap()
    }

    type Change = fn(&mut Topology, &mut Setup, &mut String);

    #[test]
    fn a_key_covers_all_that_went_in() {
        let changes: [(&str, Change, bool); 12] = [
            ("nothing", |_, _, _| (), true),
            ("pace", |_, setup, _| setup.tempo = TimeoutScale::from_factor(9.0).into(), true),
            ("workspaces", |_, setup, _| setup.workspaces = "/elsewhere".into(), true),
            ("QEMU", |_, setup, _| setup.qemu_version = "QEMU emulator version 10.0.3".into(), false),
            ("accelerator", |_, setup, _| setup.accelerator = Accelerator::Kvm, false),
            ("counter", |_, setup, _| setup.counter = Some(Frequency::TEST), false),
            ("memory", |lab, _, _| lab.machines[0].memory_mib = 2048, false),
            ("machines", |lab, _, _| *lab = lab.only("mail"), false),
            ("accounts", |lab, _, _| lab.accounts.push("eve".into()), false),
            ("readiness", |_, _, ready| ready.push('x'), false),
            ("image", |_, setup, _| setup.media.get_mut("mail").unwrap().entry = other_image(), false),
            ("roles", |_, setup, _| setup.roles = Templates::at(Path::new(env!("CARGO_MANIFEST_DIR"))), false),
        ];
        for (what, change, same) in changes {
            let (mut lab, mut now, mut ready) = (topology(), setup(), "alice logs in".to_owned());
            let before = entry(&lab, &now, &ready).unwrap();
            change(&mut lab, &mut now, &mut ready);
            let after = entry(&lab, &now, &ready);
            assert_eq!(after.is_ok_and(|after| after == before), same, "{what}");
        }
    }

    fn other_image() -> EntryName {
        EntryName::new("mail", &ContentKey::of([b"other".as_slice()]))
    }

    #[test]
    fn the_key_of_a_template_under_kvm_names_the_host_it_was_frozen_on() {
        let here = KvmHost {
            processor: processor("processor : 0\nmodel name : Zen\ncpu MHz : 2000.1\nflags : svm\nprocessor : 1\n"),
            kernel: "6.12.1".into(),
            nested: vec![("kvm_amd", "1".into())],
        };
        assert_eq!(here.processor, ["model name : Zen", "flags : svm"]);
        let others = [
            KvmHost { processor: Vec::new(), ..here.clone() },
            KvmHost { kernel: "6.12.2".into(), ..here.clone() },
            KvmHost { nested: vec![("kvm_amd", "0".into())], ..here.clone() },
        ];
        for other in others {
            assert_ne!(data(&other).unwrap(), data(&here).unwrap());
        }
        assert!(!KvmHost::here().kernel.is_empty());
    }

    #[test]
    fn a_checkpoint_has_its_template_and_its_history_in_its_key() {
        let key = |template: &EntryName, history: &str| checkpoint_entry(template, "broken", &history).unwrap();
        let template = EntryName::new("lan", &ContentKey::of([b"lan".as_slice()]));
        let known = key(&template, "break");
        assert_eq!(key(&template, "break"), known);
        assert_ne!(key(&other_image(), "break"), known);
        assert_ne!(key(&template, "mend"), known);
    }

    #[test]
    fn a_digest_of_code_sees_every_change_but_those_of_tests() {
        let directory = tempfile::tempdir().unwrap();
        let steps = directory.path().join("steps");
        std::fs::create_dir(&steps).unwrap();
        let digest_with = |file: &str, text: &str| {
            std::fs::write(steps.join(file), text).unwrap();
            build::digest(directory.path(), build::files_below(&steps).unwrap(), b"crates").unwrap()
        };
        let known = digest_with("run.rs", "code\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(digest_with("run.rs", "code\n#[cfg(test)]\nmod tests {\n more\n}\n"), known);
        assert_eq!(digest_with("run_tests.rs", "a test"), known);
        let changed = digest_with("run.rs", "other code\n#[cfg(test)]\nmod tests {\n}\n");
        assert_ne!(changed, known);
        assert_ne!(digest_with("mend.pl", "a new file"), changed);
        let files = build::files_below(&steps).unwrap();
        let [one, other] =
            [b"crates", b"update"].map(|lock| build::digest(directory.path(), files.clone(), lock).unwrap());
        assert_ne!(one, other);
    }
}
