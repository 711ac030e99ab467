//! What verbs about a machine as hardware are told: its clock, network cable, power and boot.

use crate::scenario::format::span::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clock {
    /// It jumps forward by this; the time is not stretched.
    Advance(TimeSpan),
    /// It differs from this host's by no more than this; the time is not stretched.
    RightWithin(TimeSpan),
}

/// A machine's network cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Pulled: the machine's cards have no carrier.
    Cut,
    /// Plugged in.
    Restored,
}

/// A machine's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// It is off at once, as by a pulled plug: what was not on the disk is lost.
    Cut,
    /// It shuts down in order, and stays off.
    Shutdown,
    /// It starts, and nothing is left to start.
    On,
}

/// A reboot by the guest's own systemd, into the newest kernel that is installed in it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reboot {
    /// Whether it comes up again.
    #[serde(default)]
    pub expect: Return,
    /// What is said of a machine that does not.
    #[serde(default)]
    pub output_contains: Vec<String>,
}

/// Whether a machine comes up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    /// It does.
    #[default]
    Back,
    /// It does not, and is off afterwards.
    Away,
}
