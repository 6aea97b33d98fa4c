//! The one suite that every store passes.
