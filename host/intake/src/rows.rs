//! Containers of rows become JSON lines.

use crate::unpack::sniff::Kind;
use crate::unpack::{Buffered, Damage};
use std::io::{self, Read};
use streamalert_pipeline::dead_letter::Reason;

/// What came of one row.
pub enum Row {
    /// A line more.
    Made,
    /// It cannot be said in JSON, or was lost; others follow.
    Lost {
        message: String,
        reason: Reason,
        sample: Vec<u8>,
    },
    /// Nothing more can be read.
    Damage(Damage),
    End,
}

pub struct Rows(&'static str);

impl Rows {
    pub fn open<R: Read>(kind: Kind, _: &mut Buffered<R>) -> io::Result<Rows> {
        Ok(Rows(kind.name()))
    }

    pub fn next<R: Read>(&mut self, _: &mut Buffered<R>, _: &mut Vec<u8>) -> io::Result<Row> {
        Ok(Row::Damage(Damage::new(format!("{} cannot be read here", self.0))))
    }
}
