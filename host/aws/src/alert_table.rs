//! Alerts in DynamoDB.

pub mod layout;
