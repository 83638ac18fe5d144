//! What the repository's Rust files define: items, tests, errors, and what their docs say.

use anyhow::{Context, Result, bail};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Item, Lit, Meta, Type};

/// One Rust file.
#[derive(Debug, Default)]
pub struct Source {
    /// Functions, types, traits, constants, modules, macros; methods, variants and associated
    /// constants also as `Type::name`.
    pub items: BTreeSet<String>,
    /// Functions that run as tests, those inside `proptest!` too; none that is ignored.
    pub tests: BTreeSet<String>,
    /// Public enums with their variants.
    pub enums: Vec<Enum>,
    /// All documentation comments, in order, as one line.
    pub docs: String,
}

/// A public enum.
#[derive(Debug)]
pub struct Enum {
    /// Its name.
    pub name: String,
    /// Its variants' names.
    pub variants: Vec<String>,
    /// Whether it is an error: derived, or implemented in the same file.
    pub is_error: bool,
}

impl Source {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// Where it cannot be read or is not Rust.
    pub fn read(path: &Path) -> Result<Source> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("could not read {}", path.display()))?;
        Source::parse(&text).with_context(|| format!("could not parse {}", path.display()))
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// Where it is not Rust.
    pub fn parse(text: &str) -> Result<Source> {
        let file = syn::parse_file(text)?;
        let mut found = Finder::default();
        found.visit_file(&file);
        let Finder {
            mut source,
            implements_error,
            ..
        } = found;
        for one in &mut source.enums {
            one.is_error |= implements_error.contains(&one.name);
        }
        Ok(source)
    }
}

/// Every Rust file below a folder of the repository, by name.
///
/// # Errors
/// Where a folder cannot be read, or holds no such file.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("could not read {}", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        bail!("{} holds no Rust file", folder.display());
    }
    found.sort();
    Ok(found)
}

#[derive(Default)]
struct Finder {
    source: Source,
    implements_error: BTreeSet<String>,
    /// The type or trait whose body is being read.
    owner: Option<String>,
}

impl Finder {
    fn define(&mut self, name: &syn::Ident) {
        let name = name.to_string();
        if let Some(owner) = &self.owner {
            self.source.items.insert(format!("{owner}::{name}"));
        }
        self.source.items.insert(name);
    }

    fn function(&mut self, name: &syn::Ident, attributes: &[Attribute]) {
        self.define(name);
        let has = |word| attributes.iter().any(|a| a.path().is_ident(word));
        if has("test") && !has("ignore") {
            self.source.tests.insert(name.to_string());
        }
    }

    fn within(&mut self, owner: Option<String>, read: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.owner, owner);
        read(self);
        self.owner = before;
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Struct(item) => self.define(&item.ident),
            Item::Type(item) => self.define(&item.ident),
            Item::Const(item) => self.define(&item.ident),
            Item::Static(item) => self.define(&item.ident),
            Item::Mod(item) => self.define(&item.ident),
            Item::Fn(item) => self.function(&item.sig.ident, &item.attrs),
            Item::Macro(item) => {
                if let Some(name) = &item.ident {
                    self.define(name);
                }
                if item.mac.path.is_ident("proptest") {
                    tests_of_tokens(item.mac.tokens.clone(), &mut self.source);
                }
            }
            Item::Enum(item) => {
                self.define(&item.ident);
                let name = item.ident.to_string();
                let variants = item.variants.iter().map(|variant| &variant.ident);
                self.within(Some(name.clone()), |finder| {
                    variants.clone().for_each(|variant| finder.define(variant));
                });
                if matches!(item.vis, syn::Visibility::Public(_)) {
                    self.source.enums.push(Enum {
                        name,
                        variants: variants.map(ToString::to_string).collect(),
                        is_error: item.attrs.iter().any(derives_error),
                    });
                }
            }
            Item::Trait(item) => {
                self.define(&item.ident);
                let name = Some(item.ident.to_string());
                return self.within(name, |finder| visit::visit_item_trait(finder, item));
            }
            Item::Impl(item) => {
                let name = match item.self_ty.as_ref() {
                    Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
                    _ => None,
                };
                let implemented = item
                    .trait_
                    .as_ref()
                    .and_then(|(_, path, _)| path.segments.last());
                if let (Some(name), true) = (&name, implemented.is_some_and(|s| s.ident == "Error"))
                {
                    self.implements_error.insert(name.clone());
                }
                return self.within(name, |finder| visit::visit_item_impl(finder, item));
            }
            _ => {}
        }
        self.within(None, |finder| visit::visit_item(finder, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.define(&item.sig.ident);
        self.within(None, |finder| visit::visit_impl_item_fn(finder, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.define(&item.ident);
        visit::visit_impl_item_const(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.define(&item.sig.ident);
        self.within(None, |finder| visit::visit_trait_item_fn(finder, item));
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::NameValue(doc) = &attribute.meta
            && doc.path.is_ident("doc")
            && let Expr::Lit(literal) = &doc.value
            && let Lit::Str(line) = &literal.lit
        {
            self.source.docs.push_str(&line.value());
            self.source.docs.push(' ');
        }
    }
}

fn derives_error(attribute: &Attribute) -> bool {
    let mut found = false;
    if attribute.path().is_ident("derive") {
        // A derive that does not parse would not compile.
        let _ = attribute.parse_nested_meta(|meta| {
            found |= meta
                .path
                .segments
                .last()
                .is_some_and(|s| s.ident == "Error");
            Ok(())
        });
    }
    found
}

/// The functions marked `#[test]` in the tokens of a macro.
fn tests_of_tokens(tokens: TokenStream, source: &mut Source) {
    let (mut marked, mut ignored, mut named) = (false, false, false);
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                let inside = group.stream().to_string();
                marked |= inside == "test";
                ignored |= inside.starts_with("ignore");
            }
            TokenTree::Ident(word) if named => {
                if marked && !ignored {
                    source.tests.insert(word.to_string());
                }
                source.items.insert(word.to_string());
                (marked, ignored, named) = (false, false, false);
            }
            TokenTree::Ident(word) => named = word == "fn",
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Source;

    #[test]
    fn what_a_file_defines() {
        let source = Source::parse(
            r#"
            //! First, Condition
            //! 3.1.
            pub enum Bad { /** Why. */ One, Two(u8) }
            impl core::error::Error for Bad {}
            #[derive(Debug, thiserror::Error)] pub enum Worse { Three }
            pub enum Fine { Four }
            enum Hidden { Five }
            struct Thing;
            impl Thing { const SIZE: u8 = 1; fn method(&self) { fn inner() {} } }
            trait Way { fn go(&self); }
            // fn commented_out() {}
            const TEXT: &str = "fn in_a_text() {}";
            mod tests {
                #[test] fn runs() {}
                #[test] #[ignore = "slow"] fn sleeps() {}
                fn helps() {}
            }
            proptest! {
                #![proptest_config(config(600))]
                /// Holds.
                #[test] fn holds(a in 0..3u8) { fn not_this() {} }
                fn no_test(b: u8) {}
            }
            "#,
        )
        .unwrap();
        for name in [
            "Bad",
            "Bad::One",
            "Two",
            "Thing",
            "Thing::SIZE",
            "Thing::method",
            "inner",
            "Way::go",
            "TEXT",
            "tests",
            "runs",
            "sleeps",
            "holds",
            "no_test",
            "Hidden::Five",
        ] {
            assert!(source.items.contains(name), "{name}");
        }
        for name in [
            "commented_out",
            "in_a_text",
            "Bad::Three",
            "Thing::inner",
            "not_this",
        ] {
            assert!(!source.items.contains(name), "{name}");
        }
        let tests: Vec<&str> = source.tests.iter().map(String::as_str).collect();
        assert_eq!(tests, ["holds", "runs"]);
        let enums: Vec<(&str, usize, bool)> = source
            .enums
            .iter()
            .map(|one| (one.name.as_str(), one.variants.len(), one.is_error))
            .collect();
        assert_eq!(
            enums,
            [("Bad", 2, true), ("Worse", 1, true), ("Fine", 1, false)]
        );
        assert!(
            source.docs.starts_with(" First, Condition  3.1."),
            "{}",
            source.docs
        );
        assert!(source.docs.contains("Why."));
    }
}
