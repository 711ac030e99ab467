//! The name of a lab's template: equal names, equal labs.

use super::setup::{LabError, Setup};
use super::template::FORMAT;
use super::topology::Topology;
use crate::cache::{ContentKey, EntryName};
use crate::host::accelerator::Accelerator;
use crate::machine::Origin;
use crate::machine::argv::{Descriptors, argv};
use std::path::Path;

/// Changes when what is kept with a checkpoint, or what steps do, means something else.
const CHECKPOINT: &str = "checkpoint 1";

/// The entry of a lab's template: its key covers all that went in.
/// `ready` says when it is ready.
pub(super) fn entry(topology: &Topology, setup: &Setup, ready: &str) -> Result<EntryName, LabError> {
    let mut ingredients = vec![format!("format {FORMAT}"), setup.qemu_version.clone(), processor(setup.accelerator)];
    // A guest that was frozen goes on to tell the time by the counter of the host that thaws it.
    ingredients.extend(setup.counter.map(|counter| format!("counter {} kHz", counter.khz())));
    ingredients.extend([topology.domain.clone(), ready.to_owned()]);
    ingredients.extend(topology.accounts.iter().cloned());
    ingredients.extend(topology.segments.iter().map(|segment| format!("{segment:?}")));
    let hosts = topology.hosts();
    ingredients.extend(hosts.iter().map(|host| format!("{host:?}")));
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

/// The entry of a checkpoint that is kept: its key covers the lab's template, and in `way` all that was done since.
pub(super) fn checkpoint_entry(template: &EntryName, name: &str, way: &[String]) -> EntryName {
    let ingredients = [CHECKPOINT.to_owned(), template.to_string()];
    let ingredients = ingredients.iter().chain(way);
    EntryName::new(name, &ContentKey::of(ingredients.map(String::as_bytes)))
}

/// What runs the guests' instructions: the state of a processor means nothing to another model.
fn processor(accelerator: Accelerator) -> String {
    match accelerator {
        Accelerator::Tcg => accelerator.name().into(),
        Accelerator::Kvm => {
            let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
            let wanted = |line: &&str| line.starts_with("model name") || line.starts_with("flags");
            known.lines().filter(wanted).take(2).collect::<Vec<_>>().join("\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::counter::Frequency;
    use crate::lab::Media;
    use crate::lab::topology::Definition;
    use crate::machine::Boot;
    use crate::network::Segment;
    use crate::seed::Templates;
    use crate::time::Pace;
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
            tempo: Pace::REFERENCE.into(),
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
            ("pace", |_, setup, _| setup.tempo = Pace::from_factor(9.0).into(), true),
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
}
