//! Scenarios over the whole of StreamAlert. What needs reference data beside the checkout skips where that is absent.

mod classify_reference;
mod reference;
