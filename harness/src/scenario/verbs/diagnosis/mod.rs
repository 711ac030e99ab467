//! Why logins are refused: `do.mark`, `do.ldap-requests`, `do.diagnose`, `do.service-state`.

pub(crate) mod expect;
pub(crate) mod keys;
pub(crate) mod marks;
pub(crate) mod run;
pub(crate) mod service_state;
