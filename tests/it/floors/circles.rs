//! Finds files of one folder that use each other in a circle.
//!
//! A name counts as used from the file that defines it, whichever `mod.rs` passes it on. A folder counts as one file to
//! the files beside it. A `mod.rs` that only declares and passes on uses nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Module, Segments};

/// Files of `folder` that use each other.
#[derive(Debug)]
pub(super) struct Circle {
    /// `backend/redis`
    pub(super) folder: String,
    /// One line for each use: `src/cli/exit.rs:6: super::output::Output`.
    pub(super) uses: Vec<String>,
}

/// Per file or folder (`mod` is the folder's own file): what it uses beside it, and where it says so.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

pub(super) fn circles(modules: &BTreeMap<Segments, Module>) -> Vec<Circle> {
    let mut folders: BTreeMap<Segments, Graph> = BTreeMap::new();
    for (own, module) in modules {
        let imports = module.imports.iter();
        let imports = imports.map(|import| (&import.path, import.line, import.is_public));
        let paths = module.paths.iter().map(|(path, line)| (path, *line, false));
        for (path, line, is_public) in imports.chain(paths) {
            let Some(target) = absolute(modules, own, path) else {
                continue;
            };
            let target = defining(modules, &target, &mut BTreeSet::new());
            let passes_on = is_public && target.starts_with(own);
            if target == *own || passes_on {
                continue;
            }
            let shared = own.iter().zip(&target).take_while(|(a, b)| a == b).count();
            let node = |path: &[String]| path.get(shared).map_or("mod", |name| name).to_owned();
            let says = format!("{}:{line}: {}", module.file, path.join("::"));
            let graph = folders.entry(own[..shared].to_vec()).or_default();
            let uses = graph.entry(node(own)).or_default();
            uses.entry(node(&target)).or_default().insert(says);
        }
    }
    let circles = folders.iter().flat_map(|(folder, graph)| {
        let knots = knots(graph).into_iter();
        knots.map(|knot| circle(folder.join("/"), graph, &knot))
    });
    circles.collect()
}

fn circle(folder: String, graph: &Graph, knot: &BTreeSet<&String>) -> Circle {
    let uses = graph.iter().filter(|(from, _)| knot.contains(from));
    let uses = uses.flat_map(|(_, uses)| uses.iter().filter(|(to, _)| knot.contains(to)));
    let uses = uses.filter_map(|(_, says)| says.first().cloned());
    Circle {
        folder,
        uses: uses.collect(),
    }
}

/// A path as it is seen from the root of the crate; `None` if it leads out of the crate.
fn absolute(
    modules: &BTreeMap<Segments, Module>,
    own: &[String],
    path: &[String],
) -> Option<Segments> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let base = match &*path[0] {
        "crate" => &[],
        "self" => own,
        "super" => own.get(..own.len().checked_sub(supers)?)?,
        child => {
            let inner = [own, &[child.to_owned()]].concat();
            return modules.contains_key(&inner).then(|| [own, path].concat());
        }
    };
    Some([base, &path[supers.max(1)..]].concat())
}

/// The module that defines what `path` names.
fn defining(
    modules: &BTreeMap<Segments, Module>,
    path: &[String],
    seen: &mut BTreeSet<Segments>,
) -> Segments {
    let depth = (1..=path.len()).take_while(|&depth| modules.contains_key(&path[..depth]));
    let depth = depth.last().unwrap_or(0);
    let (module, rest) = path.split_at(depth);
    let Some((name, rest)) = rest.split_first() else {
        return module.to_vec();
    };
    let passed_on = modules[module].imports.iter();
    let passed_on = passed_on.filter(|import| import.name == *name);
    for import in passed_on {
        let found = absolute(modules, module, &import.path);
        if let Some(found) = found.filter(|_| seen.insert(path.to_vec())) {
            return defining(modules, &[&found, rest].concat(), seen);
        }
    }
    module.to_vec()
}

/// The sets of nodes that all reach each other, larger than one node.
fn knots(graph: &Graph) -> BTreeSet<BTreeSet<&String>> {
    let reached = |from| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(node) = next.pop() {
            let uses = graph.get(node).into_iter().flat_map(BTreeMap::keys);
            next.extend(uses.filter(|to| reached.insert(*to)));
        }
        reached
    };
    let reaches: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|node| (node, reached(node))).collect();
    let knots = reaches.iter().map(|(node, reached)| {
        let back = |other: &&&String| reaches.get(*other).is_some_and(|them| them.contains(node));
        reached.iter().filter(back).copied().collect()
    });
    knots
        .filter(|knot: &BTreeSet<&String>| knot.len() > 1)
        .collect()
}
