//! What `init` writes for a small IDL, and that it has no problems for any IDL.

use std::fs;

use super::super::output::testing::captured;
use super::*;
use crate::program;

const GREET: &str = "include \"tributary.thrift\"
struct Person { 1: required i32 id, 2: required string name, 3: optional string city }
struct Greeting { 1: required Person person, 2: optional i64 visits, 3: optional tributary.Report report }
service Greeter {
  Greeting greet(1: i32 id, 2: tributary.Context context)
  list<Person> inCity(1: string city, 2: optional i32 max)
  list<Person> people(1: list<i32> ids)
  oneway void touch(1: i32 id)
}
";

fn init(idl: &Path, dir: Option<&Path>) -> Result<String, String> {
    let options = Init {
        idl: idl.to_owned(),
        dir: dir.map(Path::to_owned),
        service: None,
        include: IncludeArgs::default(),
        force: false,
    };
    let (mut out, _, rest) = captured();
    match run(&options, &mut out) {
        Ok(_) => Ok(rest.text()),
        Err(err) => {
            err.print(&mut out);
            Err(rest.text())
        }
    }
}

#[track_caller]
fn check(dir: &Path) {
    let path = dir.join("tributary.toml");
    if let Err(problems) = program::check(&path.to_string_lossy(), &Vec::new()) {
        let problems = problems.iter().map(|problem| problem.render(false));
        panic!("{}", problems.collect::<Vec<_>>().join("\n\n"));
    }
}

#[test]
fn the_configuration_says_what_the_methods_need() {
    let dir = tempfile::tempdir().unwrap();
    let idl = dir.path().join("greet.thrift");
    fs::write(&idl, GREET).unwrap();
    let said = init(&idl, None).unwrap();
    assert!(said.contains("tributary call greet id=1\n"), "{said}");
    check(dir.path());
    let text = fs::read_to_string(dir.path().join("tributary.toml")).unwrap();
    let (_, views) = text.split_once("DATABASE_URL\"\n\n").unwrap();
    let (greet, others) = views.split_once("\n# list<greet.Person> inCity").unwrap();
    for line in [
        "key = { city = \"{city}\" }\nrows = \"many\"",
        "#people = { use = \"people\", foreach = \"ids\", with = { id = \"item\" } }",
        "# oneway void touch(i32 id)\n[views.touch]",
    ] {
        assert!(others.contains(line), "{others}");
    }
    insta::assert_snapshot!(greet, @r#"
    # greet.Greeting greet(i32 id, tributary.Context context)
    [views.greet]
    # How long a call may take.
    deadline = "1s"

    [views.greet.lookups]
    person = { use = "greet_person", required = true }
    visits = { use = "greet_visits" }

    [lookups.greet_person]
    backend = "greet_person"
    key = { id = "{id}" }
    rows = "one"
    # From a database, instead of `backend` and `key`:
    #backend = "database"
    #sql = "select id, name, city from person where id = :id"

    [backends.greet_person]
    kind = "file"
    path = "sample/greet_person.json"

    [lookups.greet_visits]
    backend = "greet_visits"
    rows = "value"
    # From a database, instead of `backend`:
    #backend = "database"
    #sql = "select visits from visits where id = :id"

    [backends.greet_visits]
    kind = "file"
    path = "sample/greet_visits.json"
    "#);
    let sample = fs::read_to_string(dir.path().join("sample/greet_person.json")).unwrap();
    let sample: serde_json::Value = serde_json::from_str(&sample).unwrap();
    assert_eq!(
        sample,
        serde_json::json!([{"id": 1, "name": "name", "city": "city"}])
    );
    let standard = fs::read_to_string(dir.path().join("tributary.thrift")).unwrap();
    assert_eq!(standard, STANDARD.1);
}

#[test]
fn an_existing_configuration_is_named_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let idl = dir.path().join("greet.thrift");
    fs::write(&idl, GREET).unwrap();
    fs::write(dir.path().join("tributary.toml"), "mine").unwrap();
    let said = init(&idl, None).unwrap_err();
    assert!(said.contains("tributary.toml` exists already"), "{said}");
    assert!(!dir.path().join("compose.yaml").exists());
    assert_eq!(
        fs::read(dir.path().join("tributary.toml")).unwrap(),
        b"mine"
    );
}

#[test]
fn an_idl_from_elsewhere_is_copied_with_its_includes() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let idl = from.path().join("s.thrift");
    fs::create_dir(from.path().join("parts")).unwrap();
    fs::write(from.path().join("parts/t.thrift"), "struct T { 1: i32 a }").unwrap();
    let text = "include \"parts/t.thrift\"\nservice S { t.T get(1: i32 a) }";
    fs::write(&idl, text).unwrap();
    let project = to.path().join("project");
    init(&idl, Some(&project)).unwrap();
    assert!(project.join("parts/t.thrift").exists());
    check(&project);
    // An IDL that is inside already stays where it is.
    fs::remove_file(project.join("tributary.toml")).unwrap();
    fs::remove_file(project.join("compose.yaml")).unwrap();
    init(&project.join("s.thrift"), Some(to.path())).unwrap();
    let config = fs::read_to_string(to.path().join("tributary.toml")).unwrap();
    assert!(config.contains("idl = \"project/s.thrift\""), "{config}");
    check(to.path());
}

#[test]
fn includes_outside_the_folder_of_the_idl_are_not_copied() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(from.path().join("idl")).unwrap();
    fs::write(from.path().join("t.thrift"), "struct T { 1: i32 a }").unwrap();
    let idl = from.path().join("idl/s.thrift");
    fs::write(&idl, "include \"../t.thrift\"\nservice S { t.T get() }").unwrap();
    let said = init(&idl, Some(to.path())).unwrap_err();
    assert!(said.contains("`../t.thrift`, which is outside"), "{said}");
    init(&idl, None).unwrap();
    check(&from.path().join("idl"));
}

#[test]
fn every_valid_idl_gets_a_configuration_without_problems() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/idl/good");
    let mut laid_out = 0;
    let odd = "union U { 1: U again, 2: string text } struct Empty {} enum None {}
        struct Loop { 1: optional Loop next, 2: list<Loop> all, 3: map<Empty, Loop> by }
        struct D0 { 1: required double at } struct D1 { 1: required D0 a, 2: required D0 b }
        struct D2 { 1: required D1 a, 2: required D1 b } struct D3 { 1: D2 get, 2: set<D2> b, 3: uuid id }
        service S { U u(1: U u) Empty e(1: i8 context) None n() Loop l(1: set<i32> ids) D3 get(1: uuid id)
          bool b() binary c(1: binary a) void Get() list<U> us() D3 get_get(1: double d) }";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("odd.thrift"), odd).unwrap();
    for folder in [&all, folder.path()] {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let Ok(schema) = idl::load(&path, &[]) else {
                continue;
            };
            for service in &schema.services {
                let dir = tempfile::tempdir().unwrap();
                let options = Init {
                    idl: path.clone(),
                    dir: Some(dir.path().to_owned()),
                    service: Some(service.name.to_string()),
                    include: IncludeArgs::default(),
                    force: false,
                };
                let (mut out, _, _) = captured();
                run(&options, &mut out).unwrap();
                check(dir.path());
                laid_out += 1;
            }
        }
    }
    assert!(laid_out > 3, "{laid_out}");
}

#[test]
fn the_include_path_is_written_or_its_files_are_copied() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(from.path().join("shared")).unwrap();
    fs::write(from.path().join("shared/t.thrift"), "struct T { 1: i32 a }").unwrap();
    let idl = from.path().join("s.thrift");
    fs::write(&idl, "include \"t.thrift\"\nservice S { t.T get() }").unwrap();
    let (mut out, _, _) = captured();
    for dir in [None, Some(to.path().to_owned())] {
        let options = Init {
            idl: idl.clone(),
            dir,
            service: None,
            include: IncludeArgs {
                folders: vec![from.path().join("shared")],
            },
            force: false,
        };
        run(&options, &mut out).unwrap();
    }
    let config = fs::read_to_string(from.path().join("tributary.toml")).unwrap();
    assert!(config.contains("idl_path = [\"shared\"]\n"), "{config}");
    check(from.path());
    assert!(to.path().join("t.thrift").exists());
    check(to.path());
}
