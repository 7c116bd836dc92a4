//! The StudioML queue gateway: sealed requests in, clear requests out.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod check;
pub mod config;
pub mod decision;
mod dir;
mod gateway;
mod health;
mod http;
mod keyring;
mod metrics;
mod processing;
pub mod queue;
mod route;
pub mod service;
mod supervisor;

pub use check::check;
pub use config::Config;
pub use gateway::{Gateway, GatewayError};
