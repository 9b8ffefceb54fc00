//! All messages at all versions: against Java's bytes, against another implementation, and against hostile bytes.

#![cfg(test)]

mod generated {
    pub(crate) mod fields;
    pub(crate) mod oracle;
}
mod facts;
mod golden;
mod hostile;
mod oracle;
mod reflect;
