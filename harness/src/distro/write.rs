//! Writer of rpms, with the `rpm` crate.
//!
//! It can say all that our packages need, except two things: MD5 digests of files, and sets of hard links whose names
//! alternate. A package with those goes through rpmbuild ([`super::spec`]).

use super::error::ReleaseError;
use super::package::{Content, File, Need, Package, Scriptlet};
use super::spec;
use crate::predict::entry::{Algorithm, Care};
use rpm::{
    BuildConfig, CompressionWithLevel, Dependency, DependencyFlags, FileOptions, FileOptionsBuilder, PackageBuilder,
};
use std::collections::BTreeSet;
use std::path::Path;

/// The time of files that are not Debian's: the same always, so that the same ingredients make the same bytes.
/// 2018-05-25, the day on which Leap 15.0 came out.
pub(super) const BUILT: u32 = 1_527_206_400;

/// Who says to have made the packages.
pub(super) const VENDOR: &str = "Rehearsal";

/// How the payload is packed. See [`super`] for why.
const PAYLOAD: CompressionWithLevel = CompressionWithLevel::Zstd(1);

/// Whether a package must be written by rpmbuild.
fn is_beyond_the_crate(package: &Package) -> bool {
    package.digests != Algorithm::Sha256 || has_alternating_links(package)
}

/// Whether names of one file stand between names of another, in the order of all names. The crate writes hard links in that
/// order; rpm takes every name until one with content for the same file, and would link lmtp to qmgr.
fn has_alternating_links(package: &Package) -> bool {
    let mut ended = BTreeSet::new();
    let mut current = None;
    package.files.values().filter_map(|file| file.hard_link.as_deref()).any(|set| {
        if current != Some(set) {
            ended.extend(current.replace(set));
        }
        ended.contains(set)
    })
}

/// Writes a package to a file by the crate, or else by rpmbuild, whose intermediate files go to `workspace`. Says whether it
/// was rpmbuild.
pub(super) fn write(package: &Package, target: &Path, workspace: &Path) -> Result<bool, ReleaseError> {
    let by_rpmbuild = is_beyond_the_crate(package);
    if by_rpmbuild {
        spec::write(package, target, workspace)?;
    } else {
        by_crate(package, target)?;
    }
    Ok(by_rpmbuild)
}

fn by_crate(package: &Package, target: &Path) -> Result<(), ReleaseError> {
    let failed = |error: rpm::Error| ReleaseError::Package { name: package.name.clone(), reason: error.to_string() };
    let built = build(package).map_err(failed)?;
    let mut file = std::io::BufWriter::new(fs_err::File::create(target)?);
    built.write(&mut file).map_err(failed)?;
    file.into_inner().map_err(std::io::Error::from)?;
    Ok(())
}

fn build(package: &Package) -> Result<rpm::Package, rpm::Error> {
    let architecture = if package.noarch { "noarch" } else { "x86_64" };
    let mut builder = PackageBuilder::new(
        &package.name,
        &package.evr.version,
        "see the package's origin",
        architecture,
        &package.summary,
    );
    // The package is as old as its newest file. An earlier date would make all files as old as that, and Python's byte code,
    // which knows the time of its module, worthless. Room for signatures to come is of no use here.
    let newest = package.files.values().map(|file| file.modified).max().unwrap_or(BUILT);
    let config = BuildConfig::v4().compression(PAYLOAD).source_date(newest).reserved_space(None);
    builder.using_config(config).release(&package.evr.release).group(&package.section).vendor(VENDOR);
    if let Some(epoch) = package.evr.epoch {
        builder.epoch(epoch);
    }
    let relations = &package.relations;
    for need in &relations.requires {
        builder.requires(dependency(need));
    }
    for need in &relations.requires_before {
        let mut dependency = dependency(need);
        dependency.flags |= DependencyFlags::SCRIPT_PRE;
        builder.requires(dependency);
    }
    for need in &relations.provides {
        builder.provides(dependency(need));
    }
    for need in &relations.conflicts {
        builder.conflicts(dependency(need));
    }
    for need in &relations.obsoletes {
        builder.obsoletes(dependency(need));
    }
    for (path, file) in &package.files {
        add(&mut builder, path, file)?;
    }
    let scriptlets = &package.scriptlets;
    if let Some(scriptlet) = &scriptlets.post {
        builder.post_install_script(scriptlet_of(scriptlet));
    }
    if let Some(scriptlet) = &scriptlets.preun {
        builder.pre_uninstall_script(scriptlet_of(scriptlet));
    }
    if let Some(scriptlet) = &scriptlets.posttrans {
        builder.post_trans_script(scriptlet_of(scriptlet));
    }
    builder.build()
}

fn dependency(need: &Need) -> Dependency {
    let Some((sign, version)) = &need.version else { return Dependency::any(&need.name) };
    let of = match sign.as_str() {
        "<" => Dependency::less,
        "<=" => Dependency::less_eq,
        ">" => Dependency::greater,
        ">=" => Dependency::greater_eq,
        _ => Dependency::eq,
    };
    of(&need.name, version)
}

fn scriptlet_of(scriptlet: &Scriptlet) -> rpm::Scriptlet {
    rpm::Scriptlet::new(&scriptlet.text).prog(vec![scriptlet.interpreter])
}

fn add(builder: &mut PackageBuilder, path: &str, file: &File) -> Result<(), rpm::Error> {
    match &file.content {
        Content::Directory => {
            builder.with_dir_entry(with_attributes(FileOptions::dir(path), file).permissions(file.mode))?;
        }
        Content::Link(target) => {
            builder.with_symlink(with_attributes(FileOptions::symlink(path, target), file))?;
        }
        Content::File(bytes) => {
            let mut options = with_attributes(FileOptions::new(path), file).permissions(file.mode);
            if let Some(first) = &file.hard_link {
                options = options.hardlink(first);
            }
            builder.with_file_contents(bytes.as_ref().clone(), options)?;
        }
    }
    Ok(())
}

fn with_attributes(options: FileOptionsBuilder, file: &File) -> FileOptionsBuilder {
    let options = options.user(&file.owner).group(&file.group).modified_at(file.modified.into());
    match file.care {
        Care::None => options,
        Care::Config => options.config(),
        Care::NoReplace => options.config().noreplace(),
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
