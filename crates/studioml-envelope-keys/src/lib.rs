//! Key files, mounted key directories and their reload for StudioML Envelope
#![forbid(unsafe_code)]
#![deny(missing_docs)]
