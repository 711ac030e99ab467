//! The networks of a lab: one network namespace, a bridge per segment, a tap per network card.
//!
//! A namespace here has no name in the file system. It lives as long as something holds it (our descriptor, a thread or
//! a guest inside), so there is nothing to leak and nothing to clean: when the runner dies, whatever way, the kernel
//! takes the namespace with it. It has no link to the host's network: a lab cannot reach anything outside itself.
//!
//! [`flows`] tells whom machines contacted, from captures of what went through their cards.
//!
//! This room knows Linux networking. It knows neither QEMU nor mail.

mod address;
pub mod flows;
mod keeper;
mod namespace;
mod userns;

pub use address::{MacAddress, Prefix, PrefixError, Segment, SegmentName, TapName};
pub use keeper::Keeper;
pub use namespace::{Namespace, NetworkError};
pub use userns::{UserNamespaceError, become_root_of_own_user_namespace, enter_if_executed_for_it};
