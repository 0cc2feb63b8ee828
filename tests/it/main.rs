//! Scenarios over the whole of StreamAlert. What needs reference data beside the checkout skips where that is absent.

mod alert_table;
mod authoring;
mod bad_guests;
mod bad_outputs;
mod bad_parsers;
mod classify_reference;
mod deliveries;
mod fuzz_seeds;
mod outputs_matrix;
mod readme;
mod reference;
mod run_doors;
mod run_files;
mod run_reload;
mod run_world;
mod schema_commands;
mod shipped_schemas;
mod standins;
mod test_inputs;
mod tidy;
mod vectors_ingest;
mod vectors_parsers;
mod vectors_payloads;
mod vectors_rules;
mod vendors;
mod wasi;
