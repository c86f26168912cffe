//! The attribute `#[needs(...)]` of tests that run programs which are not on every machine.

use proc_macro::{TokenStream, TokenTree};

/// The components that `build.rs` knows, as `NAME=REMEDY`, separated by bars. The remedy is empty for those that tests
/// may use.
const COMPONENTS: &str = env!("BRIDGECLIP_COMPONENTS");

/// Makes `cargo test` leave out a test whose components are not installed, and name it with what to install.
///
/// `#[needs(mosquitto, postgresql)]` belongs above `#[test]`. `build.rs` lists the components. With the environment
/// variable `BRIDGECLIP_ALL_TESTS=1` no test is left out, so one whose component is missing fails.
#[proc_macro_attribute]
pub fn needs(names: TokenStream, test: TokenStream) -> TokenStream {
    match ignored(names, &test) {
        Ok(attribute) => attribute.into_iter().chain(test).collect(),
        Err(flaw) => format!("compile_error!({flaw:?});").parse().expect("Rust"),
    }
}

/// Returns the attribute by which a test is ignored, or nothing if all components are there.
fn ignored(names: TokenStream, test: &TokenStream) -> Result<TokenStream, String> {
    // Below `#[test]` this macro would be called after that one, and `#[ignore]` would come too late.
    if !test.to_string().replace(' ', "").contains("#[test]") {
        return Err("#[needs(...)] belongs above #[test]".to_owned());
    }
    let mut reasons = Vec::new();
    for token in names {
        let TokenTree::Ident(name) = token else { continue };
        let name = name.to_string();
        let known = COMPONENTS.split('|').filter_map(|component| component.split_once('='));
        let remedy = known.filter(|(component, _)| *component == name).map(|(_, remedy)| remedy).next();
        match remedy {
            None => return Err(format!("tests/needs/build.rs knows no component {name}")),
            Some("") => (),
            Some(remedy) => reasons.push(format!("needs {name}: {remedy}")),
        }
    }
    if reasons.is_empty() {
        return Ok(TokenStream::new());
    }
    format!("#[ignore = {:?}]", reasons.join("; ")).parse().map_err(|_| "no attribute".to_owned())
}
