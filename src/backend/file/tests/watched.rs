//! Files that change while they are watched. The tests look at the file themselves, in place of the thread.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::super::watched::Looks;
use super::*;
use crate::backend::TableReload;

/// A watched file, one lookup by `code`, and what was found so far.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
    config: Config,
    lookup: Compiled<FileLookup>,
    looks: Looks,
}

impl File {
    fn new(name: &str, text: &str) -> Self {
        let (folder, toml) = backend(name, text, "reload = \"on_change\"");
        let config = testing::config::<FileTable>(&toml).unwrap();
        let lookup = "key = { code = \"{code}\" }\ncolumns = [\"city\"]\nrows = \"value\"";
        let lookup = testing::lookup::<FileTable>(&config, lookup).unwrap();
        let mut file = File {
            path: folder.path().join(name),
            _folder: folder,
            config,
            lookup,
            looks: Looks::default(),
        };
        file.look();
        file.look();
        assert_eq!(file.counts(), [0, 0], "it has not changed");
        file
    }

    fn watched(&self) -> &Arc<Watched> {
        match &self.config {
            Config::Watched(watched) => watched,
            Config::Read(_) => panic!("it is watched"),
        }
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    fn look(&mut self) {
        let mut looks = std::mem::take(&mut self.looks);
        self.watched().look(&mut looks);
        self.looks = looks;
    }

    /// Changes the file, and looks until it has been read.
    fn change(&mut self, text: &str) {
        self.write(text);
        self.look();
        self.look();
    }

    fn counts(&self) -> [u64; 2] {
        let counts = self.watched().reloads().counts();
        [TableReload::Ok, TableReload::Refused]
            .map(|what| counts[what as usize].load(Ordering::Relaxed))
    }

    async fn city(&self, code: &str) -> Value {
        let store = FileTable { reloads: None };
        ask(&store, &self.lookup, &[("code", code.into())])
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "local")]
async fn rows_are_replaced_once_the_file_stays_as_it_is() {
    let mut file = File::new("a.csv", "code,city\nJFK,New York\n");
    file.write("code,city\nJFK,Queens\n");
    file.look();
    assert_eq!(
        file.city("JFK").await,
        "New York".into(),
        "it may be half written"
    );
    file.write("code,city\nJFK,Queens\nLGA,Queens\n");
    file.look();
    assert_eq!(file.city("JFK").await, "New York".into(), "it was");
    file.look();
    assert_eq!(file.city("LGA").await, "Queens".into());
    assert_eq!(file.counts(), [1, 0]);
    // Columns are found by name.
    file.change("x,city,code\n1,Jamaica,JFK\n");
    assert_eq!(file.city("JFK").await, "Jamaica".into());
    assert_eq!(file.city("LGA").await, Value::Null);
    assert_eq!(file.counts(), [2, 0]);
}

#[tokio::test(flavor = "local")]
async fn a_file_that_can_not_be_used_leaves_the_old_rows() {
    let mut file = File::new("a.csv", "code,city\nJFK,New York\n");
    let bad = ["code,city\nJFK\n", "code\nJFK\n", "code,city\nJFK,\"New"];
    for (refused, text) in (1..).zip(bad) {
        file.change(text);
        assert_eq!(file.city("JFK").await, "New York".into());
        assert_eq!(file.counts(), [0, refused]);
        file.look();
        file.look();
        assert_eq!(file.counts(), [0, refused], "once");
    }
    std::fs::remove_file(&file.path).unwrap();
    file.look();
    file.look();
    file.look();
    assert_eq!(file.city("JFK").await, "New York".into());
    assert_eq!(file.counts(), [0, 4]);
    file.change("code,city\nJFK,Queens, NY\n");
    assert_eq!(file.counts(), [0, 5]);
    file.change("code,city\nJFK,Queens\n");
    assert_eq!(file.city("JFK").await, "Queens".into());
    assert_eq!(file.counts(), [1, 5]);
}

#[tokio::test(flavor = "local")]
async fn the_same_content_is_no_change() {
    let text = "[{\"code\": \"JFK\", \"city\": \"New York\"}]";
    let mut file = File::new("a.json", text);
    let before = file.config.loaded();
    file.change("[]");
    assert_eq!(
        file.city("JFK").await,
        Value::Null,
        "an empty array has any column"
    );
    file.change(text);
    assert_eq!(file.city("JFK").await, "New York".into());
    assert_eq!(file.counts(), [2, 0]);
    assert!(
        Arc::ptr_eq(&before, &file.config.loaded()),
        "it was still in use"
    );
    std::fs::remove_file(&file.path).unwrap();
    file.change(text);
    assert_eq!(file.counts(), [2, 0], "another file with the same content");
}

#[tokio::test(flavor = "local")]
async fn a_lookup_under_way_keeps_the_table_it_began_with() {
    let mut rows = "code,city\n".to_owned();
    for at in 0..10_000 {
        writeln!(rows, "{at},old").unwrap();
    }
    let mut file = File::new("a.csv", &rows);
    let all = testing::lookup::<FileTable>(&file.config, "columns = [\"city\"]").unwrap();
    let store = FileTable { reloads: None };
    let mut asking = Box::pin(ask(&store, &all, &[]));
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    file.change("code,city\n1,new\n");
    let Value::List(rows) = asking.await.unwrap() else {
        panic!("a list")
    };
    assert_eq!(rows.len(), 10_000);
    assert!(
        rows.iter()
            .all(|row| row.get("city") == Some(&"old".into()))
    );
    assert_eq!(file.city("1").await, "new".into());
}

#[tokio::test(flavor = "local")]
async fn one_store_of_all_loops_starts_the_thread() {
    let file = File::new("a.csv", "code,city\n");
    let first = FileTable::connect(&file.config, &[], &crate::backend::OnLoop::default()).await;
    let second = FileTable::connect(&file.config, &[], &crate::backend::OnLoop::default()).await;
    assert!(first.table_reloads().is_some() && second.table_reloads().is_none());
}

#[test]
fn only_on_change_is_known() {
    let problems = mistakes("a.csv", "a\n", "reload = \"always\"");
    assert_eq!(
        problems,
        ["config.bad_value reload: `always` is not known here (one of `on_change`)"]
    );
}
