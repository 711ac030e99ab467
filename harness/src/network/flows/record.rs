//! The flows of a lab, as they stand in the results.

use super::capture::Cut;
use super::flow::Flow;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The file of a case that its flows are in.
pub const FILE: &str = "flows.json";

/// The flows of all machines that were captured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowsOfLab {
    /// The machines.
    pub machines: Vec<FlowsOfMachine>,
}

/// The flows of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowsOfMachine {
    /// The machine.
    pub machine: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The captures that they are from, in order: files beside this one. Those of states that a step went back from are not among
    /// them.
    pub captures: Vec<String>,
    /// How many frames of each of them are in the flows: a lab that is taken down says its last words after these are written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frames: BTreeMap<String, u64>,
    /// Captures that end in the middle of something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<CutCapture>,
    /// The flows, in the order of their first packets.
    pub flows: Vec<Flow>,
}

/// A capture that ends in the middle of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutCapture {
    /// Its file.
    pub file: String,
    /// Where.
    pub cut: Cut,
}
