use crate::*;
pub struct Pattern;
impl Pattern { pub fn compile(_l: &str, _d: &[(String, String)]) -> Result<Pattern, Fault> { Ok(Pattern) }
pub fn parse<'a>(&'a self, _l: &'a str, _o: &mut Fields<'a>) -> Result<(), Fault> { Err(Fault::new("stub")) } }
