//! What the verb about passwords in process lists is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A password that nobody must overhear.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSecretInProcesses {
    /// This user's.
    #[schemars(with = "String")]
    pub password_of: Spanned<String>,
}
