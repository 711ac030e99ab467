//! What a recipe would install today: packages with versions, as apt resolves them.
//!
//! Asking costs an index download, so an answer is kept for a day. Offline, the last answer holds.

use super::build::{ImageError, Progress};
use super::tool;
use crate::cache::{Cache, ContentKey};
use crate::host::workspace::Workspace;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const FRESH: Duration = Duration::from_hours(24);

/// Package versions by name.
pub(super) type Plan = BTreeMap<String, String>;

/// Resolves `packages` and all that is essential in `suite`.
pub(super) fn resolve(
    suite: &str,
    packages: &[String],
    cache: &Cache,
    refresh: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Plan, ImageError> {
    let wanted = [suite.as_bytes()].into_iter().chain(packages.iter().map(String::as_bytes));
    let kept = cache.building().join(format!("plan-{}.json", ContentKey::of(wanted)));
    let old = read(&kept);
    let age = kept.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    if let Some(plan) = &old
        && !refresh
        && age.is_some_and(|age| age < FRESH)
    {
        return Ok(plan.clone());
    }
    progress(Progress::Planning);
    match ask(suite, packages, cache) {
        Ok(plan) => {
            let text = serde_json::to_vec_pretty(&plan).map_err(|error| ImageError::File(error.into()))?;
            fs_err::write(&kept, text)?;
            Ok(plan)
        }
        Err(error) => old.ok_or(error).inspect(|_| progress(Progress::OldPlan)),
    }
}

fn read(path: &Path) -> Option<Plan> {
    serde_json::from_slice(&fs_err::read(path).ok()?).ok()
}

/// mmdebstrap sets up apt for the suite, with its signatures, and hands it to a hook.
fn ask(suite: &str, packages: &[String], cache: &Cache) -> Result<Plan, ImageError> {
    let workspace = Workspace::create(&cache.building(), "plan")?;
    let answer = workspace.path().join("answer");
    let hook = format!(
        "APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get --simulate --no-install-recommends install '?essential' {} > {}",
        packages.join(" "),
        answer.display()
    );
    let mut arguments = vec!["--variant=custom".to_owned(), "--format=null".into(), format!("--customize-hook={hook}")];
    arguments.extend([suite.to_owned(), "-".into()]);
    arguments.extend(mirror());
    tool::run("mmdebstrap", arguments, workspace.path(), &workspace.path().join("log"))?;
    Ok(parse(&fs_err::read_to_string(answer)?))
}

/// Another mirror than mmdebstrap's own choice, if the user names one.
pub(super) fn mirror() -> Option<String> {
    std::env::var("REHEARSAL_MIRROR").ok().filter(|mirror| !mirror.is_empty())
}

/// Reads the lines `Inst name (version origin [architecture])` of apt-get(8), `--simulate`.
fn parse(text: &str) -> Plan {
    let package = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let version = rest.split_once('(')?.1.split(' ').next()?;
        Some((name.to_owned(), version.to_owned()))
    };
    text.lines().filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apts_simulation_is_read() {
        let text = "Reading package lists...\nInst gcc-12-base (12.2.0-14+deb12u1 Debian:12.11/oldstable [amd64])\n\
                    Inst libc6 [2.36-8] (2.36-9+deb12u10 Debian:12.11/oldstable [amd64]) []\nConf libc6 (2.36-9+deb12u10 x)\n";
        let plan = parse(text);
        assert_eq!(plan.len(), 2);
        assert_eq!(plan["libc6"], "2.36-9+deb12u10");
    }
}
