//! What the Kinesis Producer Library puts together: a signature, a Protocol Buffers message of records, its MD5.

use md5::{Digest, Md5};
use streamalert_pipeline::limits::AGGREGATE_RECORDS_MAX;

const SIGNATURE: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;
/// Field of the message: `repeated Record records`. The tables of keys beside it say nothing about what is in the records.
const RECORDS: u64 = 3;
/// Field of a record: `bytes data`.
const DATA: u64 = 3;

/// The records in one Kinesis record, `None` if it was not put together.
pub fn split(data: &[u8]) -> Option<Result<Vec<&[u8]>, String>> {
    let rest = data.strip_prefix(&SIGNATURE)?;
    Some(records(rest))
}

fn records(rest: &[u8]) -> Result<Vec<&[u8]>, String> {
    let (message, digest) = rest
        .len()
        .checked_sub(DIGEST_BYTES)
        .map(|end| rest.split_at(end))
        .ok_or_else(|| "an aggregated record that ends early".to_owned())?;
    if Md5::digest(message)[..] != *digest {
        return Err("an aggregated record that does not match its checksum".to_owned());
    }
    let broken = || "an aggregated record whose inside is no message of records".to_owned();
    let mut records = Vec::new();
    let mut fields = Fields(message);
    while let Some(field) = fields.next_field().map_err(|()| broken())? {
        let (RECORDS, Some(record)) = field else { continue };
        let mut data = None;
        let mut fields = Fields(record);
        while let Some(field) = fields.next_field().map_err(|()| broken())? {
            if let (DATA, Some(bytes)) = field {
                data = Some(bytes);
            }
        }
        if records.len() == AGGREGATE_RECORDS_MAX {
            return Err(format!("an aggregated record of more than {AGGREGATE_RECORDS_MAX} records"));
        }
        records.push(data.ok_or_else(broken)?);
    }
    Ok(records)
}

/// Number of a field, and its bytes if it is of that kind.
type Field<'a> = (u64, Option<&'a [u8]>);

/// The fields of a message, as they lie there.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next_field(&mut self) -> Result<Option<Field<'a>>, ()> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let bytes = match tag & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => self.take(8).map(|_| None)?,
            2 => {
                let length = self.varint()?;
                Some(self.take(usize::try_from(length).map_err(drop)?)?)
            }
            5 => self.take(4).map(|_| None)?,
            _ => return Err(()),
        };
        Ok(Some((tag >> 3, bytes)))
    }

    fn varint(&mut self) -> Result<u64, ()> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ()> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(())?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn varint(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [vec![number << 3 | 2], varint(bytes.len()), bytes.to_vec()].concat()
    }

    fn sealed(message: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], message, &Md5::digest(message)[..]].concat()
    }

    pub fn aggregated(records: &[&[u8]]) -> Vec<u8> {
        let mut message = [field(1, b"a partition key"), field(2, b"0")].concat();
        for record in records {
            let tag = field(4, &field(1, b"a tag"));
            message.extend(field(3, &[&[1 << 3, 0, 2 << 3, 0][..], &field(3, record), &tag].concat()));
        }
        sealed(&message)
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let large = vec![b'x'; 100_000];
        assert_eq!(
            split(&aggregated(&[b"{\"a\": 1}", b"", &large])).unwrap().unwrap(),
            [b"{\"a\": 1}", &b""[..], &large]
        );
        assert_eq!(split(&aggregated(&[])).unwrap().unwrap(), [&b""[..]; 0]);
        assert!(split(b"{\"a\": 1}").is_none());
        let many = vec![&b"x"[..]; 65_536];
        assert_eq!(split(&aggregated(&many)).unwrap().unwrap().len(), 65_536);
    }

    #[test]
    fn what_is_broken_is_told() {
        let check = |bytes: &[u8], says: &str| {
            let error = split(bytes).unwrap().unwrap_err();
            assert!(error.contains(says), "{error}");
        };
        let good = aggregated(&[b"{\"a\": 1}"]);
        check(&good[..10], "ends early");
        check(&good[..good.len() - 1], "checksum");
        let mut changed = good.clone();
        changed[10] ^= 1;
        check(&changed, "checksum");
        check(&sealed(&[3 << 3 | 2, 0xff, 0xff, 0xff, 0x7f]), "no message");
        check(&sealed(&[3 << 3 | 3]), "no message");
        check(&sealed(&[0x80; 11]), "no message");
        check(&sealed(&field(3, &[1 << 3, 0])), "no message");
        check(&aggregated(&vec![&b""[..]; AGGREGATE_RECORDS_MAX + 1]), "more than");
    }
}
