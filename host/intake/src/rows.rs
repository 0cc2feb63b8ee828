//! Containers of rows become JSON lines, one object a row.
//!
//! Numbers keep every digit; what JSON has no number for (`NaN`, `Infinity`) is text, and so are times (RFC 3339) and
//! bytes (as UTF-8 where they are, else base64).

mod avro;
mod json;
mod parquet;

use crate::unpack::sniff::Kind;
use crate::unpack::{Buffered, Damage};
use std::io::{self, Read};
use streamalert_pipeline::dead_letter::Reason;

/// What came of one row.
#[derive(Debug)]
pub enum Row {
    /// A line more.
    Made,
    /// One row that cannot be said in JSON, or some that are lost together; others follow.
    Lost {
        message: String,
        reason: Reason,
        sample: Vec<u8>,
    },
    /// Nothing more can be read.
    Damage(Damage),
    End,
}

pub enum Rows {
    Avro(Box<avro::Avro>),
    Parquet(Box<parquet::Parquet>),
    Broken(Damage),
}

impl Rows {
    pub fn open<R: Read>(kind: Kind, part: &mut Buffered<R>) -> io::Result<Rows> {
        let opened = match kind {
            Kind::Avro => avro::Avro::open(part)?.map(|avro| Rows::Avro(Box::new(avro))),
            _ => parquet::Parquet::open(part)?.map(|parquet| Rows::Parquet(Box::new(parquet))),
        };
        Ok(opened.unwrap_or_else(Rows::Broken))
    }

    pub fn next<R: Read>(&mut self, part: &mut Buffered<R>, out: &mut Vec<u8>) -> io::Result<Row> {
        match self {
            Rows::Avro(avro) => avro.next(part, out),
            Rows::Parquet(parquet) => Ok(parquet.next(out)),
            Rows::Broken(damage) => Ok(Row::Damage(damage.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
