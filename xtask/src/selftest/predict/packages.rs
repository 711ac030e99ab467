//! Two releases of small packages, made by rpmbuild, and the calls of rpm that upgrade from one to the other.

use super::cases::{Case, Deed, Heir, Packaged, Thing};
use anyhow::{Context as _, ensure};
use harness::host::raw::tie_to_thread;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A package to be built.
#[derive(Debug, Default)]
pub(super) struct Recipe {
    pub(super) name: String,
    /// Lines for its preamble, such as `Obsoletes: old-name`.
    pub(super) relations: Vec<String>,
    /// Its files, by path.
    pub(super) files: Vec<(String, Packaged)>,
    pub(super) scripts: Vec<Script>,
}

/// A scriptlet.
#[derive(Debug)]
pub(super) struct Script {
    /// Its directive, such as `%post`, or `%post -p <lua>`.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// The two releases, and what must go before the second comes.
#[derive(Debug, Default)]
pub(super) struct Releases {
    pub(super) old: Vec<Recipe>,
    /// In the order in which they can come one by one: parts before what they are parts of.
    pub(super) new: Vec<Recipe>,
    /// Names of packages that must be erased first, since a coming one conflicts with them.
    pub(super) erased: Vec<String>,
}

impl Releases {
    /// Adds the packages of a case: one for the deeds that rpm can cope with, and one for the directory.
    pub(super) fn add(&mut self, case: &Case) {
        let deeds = Deed::ALL.into_iter().filter(|deed| *deed != Deed::Directory);
        self.add_package(case, &case.name, &deeds.collect::<Vec<_>>());
        self.add_package(case, &format!("{}-d", case.name), &[Deed::Directory]);
    }

    fn add_package(&mut self, case: &Case, name: &str, deeds: &[Deed]) {
        let files = |packaged: &Option<Packaged>| -> Vec<(String, Packaged)> {
            let packaged = packaged.iter();
            packaged.flat_map(|one| deeds.iter().map(|deed| (case.path(*deed), one.clone()))).collect()
        };
        let recipe = |suffix: &str, relation: Option<String>, files| Recipe {
            name: format!("{name}{suffix}"),
            relations: relation.into_iter().collect(),
            files,
            scripts: Vec::new(),
        };
        let new = files(&case.new);
        self.old.push(recipe("", None, files(&case.old)));
        match case.heir {
            Heir::Itself => self.new.push(recipe("", None, new)),
            Heir::Obsoleter => self.new.push(recipe("-heir", Some(format!("Obsoletes: {name} < 2")), new)),
            Heir::Part => {
                self.new.push(recipe("-part", None, new));
                self.new.push(recipe("", Some(format!("Requires: {name}-part")), Vec::new()));
            }
            Heir::Enemy => {
                self.old.push(recipe("-enemy", None, Vec::new()));
                self.new.push(recipe("-enemy", Some(format!("Conflicts: {name}")), new));
                self.erased.push(name.to_owned());
            }
            Heir::Nobody => {}
        }
    }
}

/// rpm and rpmbuild, at work in one directory.
#[derive(Debug)]
pub(super) struct Rpm<'a> {
    work: &'a Path,
}

impl<'a> Rpm<'a> {
    /// Tells rpm where databases of packages are: Debian's looks in the home directory, which is `work` here.
    pub(super) fn new(work: &'a Path) -> anyhow::Result<Self> {
        fs_err::write(work.join(".rpmmacros"), "%_dbpath /var/lib/rpm\n")?;
        Ok(Self { work })
    }

    /// A program that may think that it is root.
    pub(super) fn as_root(&self, program: &str) -> Command {
        let mut command = if nix::unistd::geteuid().is_root() {
            Command::new(program)
        } else {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--", program]);
            command
        };
        command.env("HOME", self.work).env("LC_ALL", "C").stdin(Stdio::null());
        tie_to_thread(&mut command);
        command
    }

    /// Builds packages of version `version`, and says where they are, in the order of the recipes.
    pub(super) fn build(&self, recipes: &[Recipe], version: u32) -> anyhow::Result<Vec<PathBuf>> {
        let mut by_algorithm: BTreeMap<u8, Vec<&Recipe>> = BTreeMap::new();
        for recipe in recipes {
            // A package has one algorithm for all its files.
            let algorithm = recipe.files.first().map_or(8, |(_, packaged)| packaged.algorithm);
            by_algorithm.entry(algorithm).or_default().push(recipe);
        }
        let place = self.work.join(format!("release-{version}"));
        for (algorithm, recipes) in by_algorithm {
            self.run_rpmbuild(&recipes, version, algorithm, &place)?;
        }
        let file = |recipe: &Recipe| place.join(format!("noarch/{}-{version}-1.noarch.rpm", recipe.name));
        let files: Vec<PathBuf> = recipes.iter().map(file).collect();
        for file in &files {
            ensure!(file.exists(), "rpmbuild did not make {}", file.display());
        }
        Ok(files)
    }

    fn run_rpmbuild(&self, recipes: &[&Recipe], version: u32, algorithm: u8, place: &Path) -> anyhow::Result<()> {
        let top = self.work.join(format!("build-{version}-{algorithm}"));
        let tree = top.join("tree");
        fs_err::create_dir_all(&tree)?;
        for (path, packaged) in recipes.iter().flat_map(|recipe| &recipe.files) {
            put(&tree, path, &packaged.thing)?;
        }
        let spec = top.join("fate.spec");
        fs_err::write(&spec, spec_text(recipes, version, &tree))?;
        let mut command = Command::new("rpmbuild");
        command.args(["-bb", "--quiet", "--nodeps"]).env("HOME", self.work).stdin(Stdio::null());
        for (name, value) in [
            ("_topdir", top.to_string_lossy().as_ref()),
            ("_rpmdir", place.to_string_lossy().as_ref()),
            ("_binary_filedigest_algorithm", &algorithm.to_string()),
            ("_binary_payload", "w0.gzdio"),
            ("__os_install_post", "%{nil}"),
            ("debug_package", "%{nil}"),
        ] {
            command.args(["--define", &format!("{name} {value}")]);
        }
        let output = tie_to_thread(command.arg(&spec)).output().context("failed to run rpmbuild")?;
        ensure!(output.status.success(), "rpmbuild failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Puts packages into a root, as `zypper` calls rpm. Not all of it needs to work: see the case of a directory.
    pub(super) fn upgrade(&self, root: &Path, packages: &[PathBuf]) -> anyhow::Result<Output> {
        let mut command = self.rpm(root);
        command.args(["-U", "--force", "--nodeps"]).args(packages);
        command.output().context("failed to run rpm")
    }

    /// Erases packages by name.
    pub(super) fn erase(&self, root: &Path, names: &[String]) -> anyhow::Result<()> {
        let output = self.rpm(root).args(["-e", "--nodeps"]).args(names).output().context("failed to run rpm")?;
        ensure!(output.status.success(), "rpm -e failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn rpm(&self, root: &Path) -> Command {
        let mut command = self.as_root("rpm");
        command.arg("--root").arg(root).args(["--noplugins", "--nosignature"]);
        command
    }
}

fn spec_text(recipes: &[&Recipe], version: u32, tree: &Path) -> String {
    let mut text = format!(
        "Name: fate\nVersion: {version}\nRelease: 1\nSummary: Packages of a test\nLicense: Apache-2.0\nBuildArch: noarch\n\
         AutoReqProv: no\n%description\n%install\nmkdir -p %{{buildroot}}\ncp -a '{}/.' %{{buildroot}}/\n",
        tree.display()
    );
    for Recipe { name, relations, files, scripts } in recipes {
        let _ = write!(text, "%package -n {name}\nSummary: A package of a test\nAutoReqProv: no\n");
        for relation in relations {
            text.extend([relation, "\n"]);
        }
        let _ = writeln!(text, "%description -n {name}");
        for Script { kind, text: script } in scripts {
            let (kind, program) = kind.split_once(' ').unwrap_or((kind, ""));
            let _ = write!(text, "{kind} -n {name} {program}\n{}\n", script.replace('%', "%%"));
        }
        let _ = writeln!(text, "%files -n {name}");
        for (path, packaged) in files {
            let _ = writeln!(text, "{} {path}", packaged.directive);
        }
    }
    text
}

/// Puts something at a path below a root, in place of what is there.
pub(super) fn put(root: &Path, path: &str, thing: &Thing) -> anyhow::Result<()> {
    let place = inside(root, path);
    match fs_err::symlink_metadata(&place) {
        Ok(found) if found.is_dir() => fs_err::remove_dir_all(&place)?,
        Ok(_) => fs_err::remove_file(&place)?,
        Err(_) => {}
    }
    if let Some(parent) = place.parent().filter(|_| *thing != Thing::Nothing) {
        fs_err::create_dir_all(parent)?;
    }
    match thing {
        Thing::Nothing => {}
        Thing::File(content) => fs_err::write(&place, content)?,
        Thing::Link(target) => symlink(target, &place)?,
        Thing::Directory => {
            fs_err::create_dir(&place)?;
            fs_err::write(place.join("inside"), "the administrator's\n")?;
        }
    }
    Ok(())
}

/// What is at a path below a root.
pub(super) fn look(root: &Path, path: &str) -> anyhow::Result<Thing> {
    let place = inside(root, path);
    Ok(match fs_err::symlink_metadata(&place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Thing::Nothing,
        Err(error) => return Err(error.into()),
        Ok(found) if found.is_symlink() => Thing::Link(fs_err::read_link(&place)?.to_string_lossy().into_owned()),
        Ok(found) if found.is_dir() => Thing::Directory,
        Ok(_) => Thing::File(fs_err::read_to_string(&place)?),
    })
}

fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
