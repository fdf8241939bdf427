//! TODO stub
use super::{Answer, Ask, Backend, Compiled, LookupError};
use crate::config::Section;
/// stub
pub struct Sqlite;
impl Backend for Sqlite {
    type Config = ();
    type Lookup = ();
    fn read_config(_: &mut Section<'_>) -> Option<()> { None }
    fn read_lookup((): &(), _: &mut Section<'_>) -> Option<Compiled<()>> { None }
    async fn connect((): &()) -> Self { Sqlite }
    async fn lookup(&self, (): &(), _: Ask<'_>) -> Result<Answer, LookupError> {
        Ok(Answer::new(crate::value::Value::Null))
    }
}
