//! The option `-I`: where the includes of an IDL are looked for.

use std::path::PathBuf;

use clap::Args;

/// The folders of the include path.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct IncludeArgs {
    /// A folder in which the IDL's includes are looked for, after the folder of the including file; repeatable
    #[arg(short = 'I', long = "include", value_name = "DIR", value_parser = folder)]
    pub(super) folders: Vec<PathBuf>,
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() {
        Ok(path)
    } else {
        Err("there is no such folder".into())
    }
}
