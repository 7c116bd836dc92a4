//! What a server answers to each message (docs/spec.md §8): `{"status":"accepted"}` or `{"status":"refused","reason":"…"}`.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The answer to one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Receipt {
    /// The server has the message and answers for it.
    Accepted,
    /// The server does not take the message.
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// The longest receipt that is read, in bytes.
pub const MAX_RECEIPT: usize = 8 * 1024;
/// The longest reason, in characters; what is longer is cut.
const MAX_REASON: usize = 1024;

/// What the server answered is not a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the server's answer is not a receipt")]
pub struct ReceiptError;

impl Receipt {
    /// A refusal. The reason is cut to 1024 characters, and control characters in it are replaced.
    #[must_use]
    pub fn refused(reason: &str) -> Self {
        Self::Refused { reason: printable(reason) }
    }

    /// Whether the message was accepted.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted)
    }

    /// The receipt as it travels.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // a string and a tag: serialising them cannot fail, and an empty answer would be no receipt
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a receipt. Its reason is another machine's text on its way to a terminal: control characters are replaced.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn from_json(json: &[u8]) -> Result<Self, ReceiptError> {
        if json.len() > MAX_RECEIPT {
            return Err(ReceiptError);
        }
        match serde_json::from_slice(json).map_err(|_| ReceiptError)? {
            Self::Accepted => Ok(Self::Accepted),
            Self::Refused { reason } => Ok(Self::refused(&reason)),
        }
    }
}

fn printable(reason: &str) -> String {
    let replace = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    reason.chars().take(MAX_REASON).map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::{MAX_RECEIPT, Receipt, ReceiptError};

    #[test]
    fn the_two_forms_of_the_format() {
        assert_eq!(Receipt::Accepted.to_json(), br#"{"status":"accepted"}"#);
        assert_eq!(Receipt::refused("no key").to_json(), br#"{"status":"refused","reason":"no key"}"#);
        for receipt in [Receipt::Accepted, Receipt::refused("it says \"no\"")] {
            assert_eq!(Receipt::from_json(&receipt.to_json()), Ok(receipt));
        }
    }

    #[test]
    fn anything_else_is_no_receipt() {
        let too_long = format!(r#"{{"status":"refused","reason":"{}"}}"#, "x".repeat(MAX_RECEIPT));
        for text in ["", "{}", "accepted", r#"{"status":"maybe"}"#, r#"{"status":"refused"}"#, &too_long] {
            assert_eq!(Receipt::from_json(text.as_bytes()), Err(ReceiptError), "{text:.40}");
        }
    }

    #[test]
    fn a_reason_cannot_steer_a_terminal() {
        let steering = r#"{"status":"refused","reason":"\u001b[2Jgone\r\n"}"#;
        let Ok(Receipt::Refused { reason }) = Receipt::from_json(steering.as_bytes()) else { panic!("a receipt") };
        assert_eq!(reason, "\u{fffd}[2Jgone\u{fffd}\u{fffd}");
        let Receipt::Refused { reason } = Receipt::refused(&"ä".repeat(5000)) else { panic!("a refusal") };
        assert_eq!(reason.chars().count(), 1024);
        assert!(Receipt::refused(&"\u{10ffff}".repeat(5000)).to_json().len() < MAX_RECEIPT);
    }
}
