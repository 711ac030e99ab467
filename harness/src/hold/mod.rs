//! Labs that a person works in by hand: held by one process, reached from others.
//!
//! The process that holds a lab serves it over a socket in a workspace of its own, so that both are gone with it, whatever
//! way it ends. A [`Card`] beside the socket says what is held; [`find`] chooses one by its name. On each connection
//! there is one [`Request`]; some turn the connection into a pipe to a port or a console of a machine. [`hold`] is the
//! holder: it carries the cell out as far as is wanted, and then does what it is asked.
//!
//! This room knows scenarios and labs. It does not know terminals, nor what people see of it.

mod card;
mod client;
mod holder;
mod protocol;
mod server;

pub use card::{Card, FindError, Place, find, held};
pub use client::{Conversation, Pipe, TalkError};
pub use holder::{Ended, HoldError, Lines, Plan, hold};
pub use protocol::{Account, Confided, Machine, NextStep, Refusal, Reply, Request, State, Status};
