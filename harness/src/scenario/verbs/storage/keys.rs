//! What steps about storage are told.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scenario::verbs::upgrade::keys::Ending;
use crate::storage::{Layer, Stack};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// Layers of storage on a machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// The layers, the lowest first; a volume after another one is in the same group.
    #[schemars(with = "Vec<Layer>")]
    pub layers: Spanned<Vec<Layer>>,
    /// What is done with them.
    #[serde(default)]
    pub make: Making,
    /// This account's password opens what is encrypted.
    #[schemars(with = "Option<String>")]
    pub passphrase_of: Option<Spanned<String>>,
    /// All of this device has to fit into what is encrypted; if it does not, nothing is left of what was made.
    #[schemars(with = "Option<String>")]
    pub room_for: Option<Spanned<String>>,
    /// How it ends.
    #[serde(default)]
    pub expect: Ending,
    /// What is said of the layers, or of the failure.
    #[serde(default)]
    pub output_contains: Vec<String>,
}

/// What is done with layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Making {
    /// What is missing is made, and what rests is taken up.
    #[default]
    Built,
    /// They are taken down, the highest first, in whatever state they are.
    Removed,
    /// Nothing: it is looked whether they are as they are here.
    Compared,
}

impl Storage {
    /// The layers are a stack.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        match Stack::new(self.layers.get_ref().clone()) {
            Err(diagnostic) => diagnostics.push(Diagnostic::new(diagnostic.to_string(), self.layers.span())),
            Ok(stack) if self.make == Making::Built && self.passphrase_of.is_none() && has_luks(&stack) => {
                let diagnostic = Diagnostic::new("what is encrypted needs a passphrase", self.layers.span());
                diagnostics.push(diagnostic.with_help("name an account of the lab: passphrase_of = \"…\""));
            }
            Ok(_) => {}
        }
    }
}

fn has_luks(stack: &Stack) -> bool {
    stack.layers().iter().any(|layer| matches!(layer, Layer::Luks(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAID: &str = "{ disks = { sizes_mib = [256, 256, 256, 256] } }, { raid10 = {} }";

    #[rstest::rstest]
    #[case::with_a_passphrase(", { luks = {} }", "passphrase_of = 'luks'", "")]
    #[case::without_one(", { luks = {} }", "", "needs a passphrase")]
    #[case::only_looked_at(", { luks = {} }", "make = 'compared'", "")]
    #[case::not_encrypted("", "", "")]
    #[case::no_stack(", { volume = { size_mib = 16 } }", "", "cannot be built")]
    fn layers_are_a_stack_and_what_is_encrypted_can_be_opened(
        #[case] above: &str,
        #[case] keys: &str,
        #[case] words: &str,
    ) {
        let storage: Storage = toml::from_str(&format!("layers = [{RAID}{above}]\n{keys}")).unwrap();
        let mut diagnostics = Diagnostics::default();
        storage.check(&mut diagnostics);
        assert_eq!(diagnostics.is_empty(), words.is_empty(), "{diagnostics:?}");
        assert!(format!("{diagnostics:?}").contains(words), "{diagnostics:?}");
    }
}
