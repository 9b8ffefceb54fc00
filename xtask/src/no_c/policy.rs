//! What gives away a crate that compiles or links third-party C.

use std::fmt;

/// A crate in the tree of a shipped package.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The native library that its manifest says it links.
    pub(crate) links: Option<String>,
    /// The source of its build script.
    pub(crate) build_script: Option<String>,
}

/// A crate that must not be there, and what gave it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offence {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) because: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.version, self.because)
    }
}

/// Crates that build C or assembler, or find a library that was; by name, as their build scripts may hide it.
const DENIED: [&str; 38] = [
    "autotools",
    "aws-lc-fips-sys",
    "aws-lc-rs",
    "aws-lc-sys",
    "bindgen",
    "blake3",
    "boring",
    "bzip2",
    "cc",
    "cmake",
    "cpp_build",
    "cxx",
    "cxx-build",
    "git2",
    "jemallocator",
    "libgssapi",
    "lz4",
    "metadeps",
    "mimalloc",
    "nasm-rs",
    "native-tls",
    "openssl",
    "openssl-src",
    "pkg-config",
    "psm",
    "rdkafka",
    "ring",
    "rusqlite",
    "s2n-tls",
    "sasl2",
    "snmalloc-rs",
    "stacker",
    "system-deps",
    "tikv-jemallocator",
    "vcpkg",
    "xz2",
    "zstd",
    "zstd-safe",
];

/// Crates named `*-sys` declare foreign functions. These declare the operating system's own.
const SYSTEM_INTERFACES: [(&str, &str); 6] = [
    ("core-foundation-sys", "frameworks that come with macOS"),
    ("js-sys", "what a JavaScript engine offers; nothing native"),
    ("linux-raw-sys", "numbers and structures of the Linux kernel, in Rust"),
    ("security-framework-sys", "frameworks that come with macOS"),
    ("web-sys", "what a browser offers; nothing native"),
    ("windows-sys", "functions that come with Windows"),
];

/// `links` keys that only keep two versions of a crate out of one program.
const LINKS_NOTHING: [(&str, &str); 3] = [
    ("prettyplease", "passes its version to a dependent build script"),
    ("rayon-core", "one thread pool in a program"),
    ("wasm-bindgen-shared", "one version of its format in a program"),
];

/// Build scripts that match a pattern below for a harmless reason.
const HARMLESS_SCRIPTS: [(&str, &str); 2] = [
    ("winapi", "names libraries that come with Windows"),
    ("winapi-x86_64-pc-windows-gnu", "says where GNU linkers find the names of what comes with Windows"),
];

/// In a build script: the crates that compile or look for libraries, the orders to link, and compilers called by hand.
const SCRIPT_PATTERNS: [&str; 12] = [
    "cc::",
    "cmake::",
    "bindgen::",
    "pkg_config::",
    "vcpkg::",
    "nasm_rs::",
    "cxx_build::",
    "autotools::",
    "rustc-link-lib",
    "rustc-link-search",
    "rustc-link-arg",
    "rustc-cdylib-link-arg",
];
const COMPILERS: [&str; 14] = [
    "cc", "c++", "gcc", "g++", "clang", "clang++", "cl", "cl.exe", "ar", "as", "make", "cmake", "perl",
    "nasm",
];

/// The crates that have to go; each is named once, for the first thing that gives it away.
pub(crate) fn offences(dependencies: &[Dependency]) -> Vec<Offence> {
    let offence = |dependency: &Dependency| {
        Some(Offence {
            because: reason(dependency)?,
            name: dependency.name.clone(),
            version: dependency.version.clone(),
        })
    };
    dependencies.iter().filter_map(offence).collect()
}

fn reason(dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if DENIED.contains(&name) {
        return Some("is on the list of crates that bring C".to_owned());
    }
    let is_interface = name.ends_with("-sys") || name.ends_with("_sys");
    if is_interface && !is_listed(&SYSTEM_INTERFACES, name) {
        return Some("is named as an interface to a native library".to_owned());
    }
    if let Some(library) = dependency.links.as_ref().filter(|_| !is_listed(&LINKS_NOTHING, name)) {
        return Some(format!("has links = \"{library}\" in its manifest"));
    }
    let script = dependency.build_script.as_ref().filter(|_| !is_listed(&HARMLESS_SCRIPTS, name))?;
    suspicious_word(script).map(|word| format!("has a build script with `{word}`"))
}

fn is_listed(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(listed, _reason)| *listed == name)
}

fn suspicious_word(script: &str) -> Option<String> {
    let code: Vec<&str> = script.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let contains = |word: &str| code.iter().any(|line| contains_word(line, word));
    let pattern =
        SCRIPT_PATTERNS.iter().find(|pattern| contains(pattern)).map(|pattern| (*pattern).to_owned());
    pattern.or_else(|| {
        COMPILERS.iter().map(|program| format!("Command::new(\"{program}\")")).find(|call| contains(call))
    })
}

/// Whether `word` is there, and not as the end of a longer name: `rustcc::` is not `cc::`.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}
