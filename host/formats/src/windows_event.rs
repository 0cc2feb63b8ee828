use crate::*;
pub fn parse<'a>(_l: &'a str, _o: &mut Fields<'a>) -> Result<(), Fault> { Err(Fault::new("stub")) }
pub fn frame(_b: &[u8]) -> Option<std::ops::Range<usize>> { None }
pub fn wrapping(_b: &[u8]) -> Option<usize> { None }
pub fn complete(b: &[u8]) -> usize { b.len() }
