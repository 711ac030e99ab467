//! One role: its cloud-config and its files, rendered.

use super::render::SeedError;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A role, with what its templates may ask for.
pub(super) struct Role<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its own, then those of the roles that it is like.
    pub(super) directories: Vec<PathBuf>,
    /// What templates may ask for.
    pub(super) variables: minijinja::Value,
}

impl Role<'_> {
    /// Its cloud-config, with all files in it.
    pub(super) fn user_data(&self) -> Result<String, SeedError> {
        let path = self.directories.first().map(|own| own.join("user-data.yaml")).unwrap_or_default();
        if !path.is_file() {
            return Err(SeedError::UnknownRole { role: self.name.to_owned(), path });
        }
        let files = Arc::new(self.files()?);
        let used = Arc::new(Mutex::new(BTreeSet::new()));
        let mut environment = environment();
        environment.add_function("file", {
            let (files, used) = (files.clone(), used.clone());
            move |path: String| match files.get(&path) {
                Some(text) => {
                    used.lock().map(|mut used| used.insert(path)).ok();
                    // JSON strings are YAML strings.
                    serde_json::to_string(text).map_err(|error| {
                        minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string())
                    })
                }
                None => Err(minijinja::Error::new(
                    minijinja::ErrorKind::InvalidOperation,
                    format!("there is no files{path}"),
                )),
            }
        });
        let text = self.render(&environment, "user-data.yaml", &fs_err::read_to_string(path)?)?;
        let used = used.lock().map(|used| used.clone()).unwrap_or_default();
        let unused: Vec<_> = files.keys().filter(|path| !used.contains(*path)).cloned().collect();
        if unused.is_empty() { Ok(text) } else { Err(SeedError::Unused { role: self.name.to_owned(), unused }) }
    }

    /// Every file of the role, rendered, by its path on the machine: of two files for one path, the one nearest to the role.
    fn files(&self) -> Result<BTreeMap<String, String>, SeedError> {
        let environment = environment();
        let mut files = BTreeMap::new();
        for directory in &self.directories {
            let root = directory.join("files");
            for entry in walkdir::WalkDir::new(&root).sort_by_file_name().min_depth(1) {
                let entry = entry.map_err(std::io::Error::from)?;
                let below = entry.path().strip_prefix(&root).map_err(std::io::Error::other)?.display().to_string();
                let path = format!("/{below}");
                if !entry.file_type().is_file() || files.contains_key(&path) {
                    continue;
                }
                let text = fs_err::read_to_string(entry.path())?;
                files.insert(path, self.render(&environment, &format!("files/{below}"), &text)?);
            }
        }
        Ok(files)
    }

    fn render(&self, environment: &Environment<'_>, template: &str, source: &str) -> Result<String, SeedError> {
        environment.render_named_str(template, source, &self.variables).map_err(|error| SeedError::Template {
            role: self.name.to_owned(),
            template: format!("{template}:{}", error.line().unwrap_or(0)),
            reason: format!(
                "{}{}",
                error.kind(),
                error.detail().map(|detail| format!(": {detail}")).unwrap_or_default()
            ),
        })
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_keep_trailing_newline(true);
    environment.set_trim_blocks(true);
    environment
}
