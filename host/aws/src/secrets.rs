//! Credentials of outputs, in the parameters of Systems Manager or in Secrets Manager.
