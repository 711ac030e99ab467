//! Labs that a person works in by hand: held by one process, reached from others.
//!
//! The process that holds a lab serves it over a socket in a workspace of its own, so that both are gone with it, whatever
//! way it ends. A [`SessionRecord`] beside the socket says what is held; [`find`] chooses one by its name. On each connection
//! there is one [`Request`]; some turn the connection into a pipe to a port or a console of a machine. [`hold`] is the
//! holder: it carries the case out as far as is wanted, and then does what it is asked.
//!
//! This room knows scenarios and labs. It does not know terminals, nor what people see of it.

mod client;
mod holder;
mod protocol;
mod record;
mod server;

pub use client::{Conversation, Pipe, TalkError};
pub use holder::{Ended, HoldError, Plan, ProgressSender, hold};
pub use protocol::{Account, Machine, NextStep, Refusal, Reply, Request, Secret, State, Status};
pub use record::{FindError, Place, SessionRecord, find, held};
