//! Logins and deliveries: `do.imap`, `do.smtp`, `do.ssh`, `do.deliver`, `do.mailboxes`.

pub(crate) mod delivery;
pub(crate) mod expect_delivery;
pub(crate) mod expect_login;
pub(crate) mod keys;
pub(crate) mod logins;
