//! The stack of a certificate: a static bound over the call graph, and what was painted over.
//!
//! Each function's frame is what the compiler says (`.stack_sizes`); functions that it says nothing
//! of, written in assembly or compiled elsewhere, count everything that they push. A call by address
//! or a recursion would have no bound, and fails.

use std::collections::{BTreeMap, BTreeSet};

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::boards::{self, Board};
use super::maps::{self, Random};
use super::thumb::{Effect, arm, thumb};
use super::verdicts;

struct Function {
    name: String,
    frame: u64,
    calls: BTreeSet<u32>,
    indirect: bool,
}

pub(crate) struct Program(BTreeMap<u32, Function>);

impl Program {
    pub(crate) fn read(board: &Board, name: &str) -> Program {
        let bytes = std::fs::read(board.elf(name)).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let sizes = stack_sizes(&file);
        assert!(
            sizes.len() > 20,
            "{} functions with a frame size",
            sizes.len()
        );
        // Where code and data begin, by the marks of the ARM ABI.
        let mut marks = BTreeMap::new();
        let mut found = BTreeMap::new();
        for symbol in file.symbols() {
            let (name, address) = (symbol.name().unwrap_or_default(), symbol.address() as u32);
            if name.starts_with("$d") || name.starts_with("$t") || name.starts_with("$a") {
                marks.insert(address, name.as_bytes()[1]);
            } else if symbol.kind() == SymbolKind::Text && symbol.size() > 0 {
                found.insert(address & !1, (name.to_owned(), symbol.size() as u32));
            }
        }
        let starts: BTreeSet<u32> = found.keys().copied().collect();
        let owner = |address: u32| starts.range(..=address).next_back().copied();
        let mut functions = BTreeMap::new();
        for (start, (name, size)) in &found {
            let Some(section) = file.sections().find(|section| {
                let from = section.address() as u32;
                *start >= from
                    && *start - from < section.size() as u32
                    && section.size() > 0
                    && section.kind() == object::SectionKind::Text
            }) else {
                continue;
            };
            let from = section.address() as u32;
            let code = section.data().unwrap();
            let mut function = Function {
                name: name.clone(),
                frame: 0,
                calls: BTreeSet::new(),
                indirect: false,
            };
            let mut taken = 0;
            let mut at = *start;
            while at < start + size {
                let mark = marks
                    .range(..=at)
                    .next_back()
                    .map_or(b't', |(_, mark)| *mark);
                if mark == b'd' {
                    at += 2;
                    continue;
                }
                let rest = &code[(at - from) as usize..];
                let (effect, length) = if board.is_thumb() {
                    thumb(rest, at)
                } else {
                    arm(rest, at)
                };
                match effect {
                    Effect::Takes(bytes) => taken += u64::from(bytes),
                    Effect::Indirect => function.indirect = true,
                    Effect::Branch(to) => {
                        if !(*start..start + size).contains(&to)
                            && let Some(owner) = owner(to)
                        {
                            function.calls.insert(owner);
                        }
                        // Calls itself, rather than jumping about inside.
                        if to == *start {
                            function.calls.insert(to);
                        }
                    }
                    Effect::None => {}
                }
                at += length as u32;
            }
            function.frame = sizes.get(start).copied().unwrap_or(taken);
            functions.insert(*start, function);
        }
        Program(functions)
    }

    /// The one function whose name ends so.
    pub(crate) fn find(&self, name: &str) -> u32 {
        let mut all = self
            .0
            .iter()
            .filter(|(_, function)| function.name.ends_with(name));
        let (Some((address, _)), None) = (all.next(), all.next()) else {
            panic!("there is not one function {name}");
        };
        *address
    }

    /// Bytes of stack that a call takes at most, and the functions that it reaches.
    pub(crate) fn bound(&self, address: u32, path: &mut Vec<u32>, seen: &mut BTreeSet<u32>) -> u64 {
        let function = &self.0[&address];
        assert!(
            !path.contains(&address),
            "{} calls itself, by way of {:?}",
            function.name,
            path.iter().map(|at| &self.0[at].name).collect::<Vec<_>>()
        );
        assert!(!function.indirect, "{} calls by address", function.name);
        seen.insert(address);
        path.push(address);
        let calls = function.calls.iter();
        let deepest = calls.map(|call| self.bound(*call, path, seen)).max();
        path.pop();
        function.frame + deepest.unwrap_or(0)
    }

    pub(crate) fn name(&self, address: u32) -> &str {
        &self.0[&address].name
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|function| function.name.as_str())
    }
}

/// The frames that the compiler lists, by address.
fn stack_sizes(file: &object::File<'_>) -> BTreeMap<u32, u64> {
    let mut sizes = BTreeMap::new();
    for section in file.sections() {
        if section.name() != Ok(".stack_sizes") {
            continue;
        }
        let mut rest = section.data().unwrap();
        while let Some((address, tail)) = rest.split_first_chunk::<4>() {
            let (mut size, mut shift) = (0u64, 0);
            rest = tail;
            while let Some((byte, tail)) = rest.split_first() {
                size |= u64::from(byte & 0x7F) << shift;
                shift += 7;
                rest = tail;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            sizes.insert(u32::from_le_bytes(*address) & !1, size);
        }
    }
    sizes
}

const JOBS: [(&str, &str); 6] = [
    ("unpack", "4jobs6unpack"),
    ("3.2", "4jobs7job_sum"),
    ("3.2-constant-work", "4jobs21job_sum_constant_work"),
    ("mask", "4jobs8job_mask"),
    ("double-mask", "4jobs15job_double_mask"),
    (
        "double-mask-constant-work",
        "4jobs29job_double_mask_constant_work",
    ),
];

#[test]
fn no_certificate_takes_more_stack_than_its_static_bound() {
    let mut random = Random(9);
    for board in boards::built() {
        let program = Program::read(board, "bagcert-firmware-maps");
        let layout = maps::layout(16, (32, 32), (1, 6), (5, 5));
        let mut lines = verdicts::run(board, &maps::hard(layout, &mut random));
        let small = maps::layout(2, (1, 5), (1, 2), (1, 1));
        lines.extend(verdicts::run(board, &maps::hard(small, &mut random)));
        for (job, function) in JOBS {
            let mut reached = BTreeSet::new();
            let bound = program.bound(program.find(function), &mut Vec::new(), &mut reached);
            for address in reached {
                let name = program.name(address);
                assert!(!name.contains("panic"), "{job} reaches {name}");
            }
            let taken = lines.iter().filter(|line| line.step == job);
            let taken = taken.map(|line| line.stack).max().unwrap();
            println!(
                "measured: {}: stack of {job}: {taken} bytes, static bound {bound}",
                board.core
            );
            assert!(taken <= bound, "{}: {job}: {taken} > {bound}", board.core);
            // A bound far above would mean that the call graph is misread.
            assert!(
                bound <= 2 * taken + 512,
                "{}: {job}: {taken}, {bound}",
                board.core
            );
        }
    }
}

#[test]
fn no_heap_is_linked() {
    for board in boards::built() {
        for program in [
            "bagcert-firmware",
            "bagcert-firmware-maps",
            "bagcert-firmware-link",
        ] {
            let program = Program::read(board, program);
            for name in program.names() {
                for heap in [
                    "__rust_alloc",
                    "__rg_alloc",
                    "__rust_realloc",
                    "alloc::alloc",
                    "5alloc5alloc",
                    "malloc",
                ] {
                    assert!(!name.contains(heap), "{}: {name}", board.core);
                }
            }
        }
        println!("measured: {}: no allocator in any program", board.core);
    }
}
