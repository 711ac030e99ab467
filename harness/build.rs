//! Hashes the sources whose results outlive a run, so that a cache key cannot forget them.
//!
//! A kept checkpoint holds what steps did to a lab and how they were judged; a template holds what the harness did to a
//! lab until it was frozen. Each gets a digest of the code that does it. Comments count, and tests do not.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Parts of `src` that neither act on a guest nor judge one. All others count, new ones too.
const NOT_STEPS: [&str; 8] = ["cache", "distro", "fuzzing.rs", "host", "image", "record", "report", "session"];

/// Parts of `src` that act on a lab between power on and freezing. Roles, images and QEMU's arguments have their own
/// place in a template's key.
const TEMPLATES: [&str; 5] = ["lab/boot.rs", "lab/freeze.rs", "machine/freeze.rs", "machine/clock_sync.rs", "seed"];

/// Where the tests of a file begin; nothing but tests comes after it.
const TESTS: &str = "\n#[cfg(test)]\nmod tests {";

fn main() -> io::Result<()> {
    let source = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("src");
    let lock = source.join("../../Cargo.lock");
    let mut steps = Vec::new();
    for entry in fs::read_dir(&source)? {
        let entry = entry?;
        if !NOT_STEPS.iter().any(|part| entry.file_name() == *part) {
            steps.extend(files_below(&entry.path())?);
        }
    }
    let mut templates = Vec::new();
    for part in TEMPLATES {
        templates.extend(files_below(&source.join(part))?);
    }
    // Versions of crates decide what steps do, too.
    let crates = fs::read(&lock)?;
    println!("cargo::rustc-env=REHEARSAL_STEPS_DIGEST={}", digest(&source, steps, &crates)?);
    println!("cargo::rustc-env=REHEARSAL_TEMPLATES_DIGEST={}", digest(&source, templates, &[])?);
    for watched in [&source, &lock] {
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    Ok(())
}

/// All files of a part but those with tests.
pub(crate) fn files_below(part: &Path) -> io::Result<Vec<PathBuf>> {
    if part.is_file() {
        return Ok(vec![part.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(part)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !(name == "snapshots" || name == "tests.rs" || name.ends_with("_tests.rs")) {
            files.extend(files_below(&entry.path())?);
        }
    }
    Ok(files)
}

/// The standard hasher will do: it has fixed keys, and a digest that changes with the compiler costs one rebuild.
pub(crate) fn digest(source: &Path, mut files: Vec<PathBuf>, more: &[u8]) -> io::Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.write_usize(bytes.len());
        hasher.write(bytes);
    };
    files.sort();
    for file in files {
        let bytes = fs::read(&file)?;
        let text = String::from_utf8_lossy(&bytes);
        let code = text.split(TESTS).next().unwrap_or_default();
        add(file.strip_prefix(source).unwrap_or(&file).as_os_str().as_encoded_bytes());
        add(code.as_bytes());
    }
    add(more);
    Ok(format!("{:016x}", hasher.finish()))
}
