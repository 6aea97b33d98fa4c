//! Which rules hold beyond those of the protocol itself (`profile`).

/// A set of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// None.
    #[default]
    Default,
    /// The best current practice, RFC 9700: clients prove themselves by a key of their own and never by a shared secret (section 2.5), every
    /// token is bound to such a key (section 2.2.1) and meant for somebody (section 2.3), and an assertion is meant for the issuer alone.
    Bcp,
}
