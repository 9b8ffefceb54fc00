//! A real build while every compiler of C fails.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{process, workspace};

/// Programs that a build script could call. They come first on the `PATH`, note that they were called, and fail.
const COMPILERS: [&str; 22] = [
    "ar",
    "as",
    "c++",
    "c99",
    "cc",
    "clang",
    "clang++",
    "cl",
    "cmake",
    "g++",
    "gcc",
    "ld.lld",
    "llvm-ar",
    "make",
    "nasm",
    "ninja",
    "perl",
    "pkg-config",
    "ranlib",
    "tcc",
    "yasm",
    "zig",
];

/// Variables by which the `cc` and `pkg-config` crates are told a program; also with a target behind them.
const VARIABLES: [&str; 8] = ["CC", "CXX", "AR", "RANLIB", "HOST_CC", "TARGET_CC", "CMAKE", "PKG_CONFIG"];

/// Builds all shipped packages with all features for this machine; the linker is the only program of a C toolchain
/// that can be used, and only to link.
pub(crate) fn build(root: &Path, shipped: &[String]) -> Result<(), Box<dyn Error>> {
    if !cfg!(unix) {
        println!("  no real build: compilers are hidden by shell scripts, which this system does not run");
        return Ok(());
    }
    let target_directory = root.join("target/no-c");
    let stubs = Stubs::create(&target_directory.join("stubs"))?;
    println!("  building for this machine without a compiler of C");
    let mut build = workspace::cargo();
    build.args(["build", "--quiet", "--locked", "--all-features"]);
    build.args(shipped.iter().flat_map(|name| ["--package", name]));
    // What is proved does not depend on optimisation; it only takes longer.
    build.args(["--config", "profile.dev.package.\"*\".opt-level=0", "--config", "profile.dev.debug=0"]);
    build.env("CARGO_TARGET_DIR", &target_directory).env("PATH", &stubs.directory).env("RUSTC", rustc()?);
    build.env(format!("CARGO_TARGET_{}_LINKER", host()?.replace('-', "_").to_uppercase()), &stubs.linker);
    // Their owners' checks warn; here only errors are of interest.
    build.env("RUSTFLAGS", "-Awarnings");
    for variable in VARIABLES {
        build.env(variable, "/bin/false");
    }
    let outcome = process::run(build.current_dir(root));
    let calls = stubs.calls();
    if !calls.is_empty() {
        return Err(format!("a build script called a compiler of C:\n{calls}").into());
    }
    outcome?;
    println!("  built: no compiler of C was called");
    Ok(())
}

/// Programs that stand in for a C toolchain.
struct Stubs {
    /// The whole `PATH` of the build.
    directory: PathBuf,
    linker: PathBuf,
    log: PathBuf,
}

impl Stubs {
    fn create(directory: &Path) -> Result<Self, Box<dyn Error>> {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        let log = directory.join("calls");
        let linker = directory.join("link-only");
        let refuse = format!("echo \"$0 $*\" >>'{}'; echo \"$0 is hidden: no C\" >&2; exit 1", log.display());
        for name in COMPILERS {
            write_script(&directory.join(name), &format!("#!/bin/sh\n{refuse}\n"))?;
        }
        let real_linker =
            find_on_path("cc").ok_or("cc, which links Rust programs on this system, is not on the PATH")?;
        let path = std::env::var("PATH").unwrap_or_default();
        write_script(
            &linker,
            &format!(
                "#!/bin/sh\nfor word in \"$@\"; do\n  case $word in\n    -c | -S | -E | *.c | *.cc | *.cpp | *.s | *.S | *.asm) {refuse} ;;\n  \
                 esac\ndone\nPATH='{path}' exec '{}' \"$@\"\n",
                real_linker.display()
            ),
        )?;
        Ok(Self { directory: directory.to_owned(), linker, log })
    }

    fn calls(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// The compiler itself, as the `PATH` of the build does not lead to it.
fn rustc() -> Result<PathBuf, Box<dyn Error>> {
    let mut command = std::process::Command::new("rustc");
    let sysroot = process::stdout_of(command.args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("bin/rustc"))
}

fn host() -> Result<String, Box<dyn Error>> {
    let verbose = process::stdout_of(std::process::Command::new("rustc").arg("-vV"))?;
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc -vV names no host")?.to_owned())
}

#[cfg(unix)]
fn write_script(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn write_script(path: &Path, text: &str) -> std::io::Result<()> {
    fs::write(path, text)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn hidden_compilers_fail_and_are_noticed() {
        let directory = std::env::temp_dir().join(format!("milena-no-c-stubs-{}", std::process::id()));
        let stubs = Stubs::create(&directory).unwrap();
        assert_eq!(stubs.calls(), "");
        let succeeds = |program: &Path, arguments: &[&str]| {
            Command::new(program).args(arguments).output().unwrap().status.success()
        };
        assert!(!succeeds(&directory.join("cc"), &["-c", "a.c"]));
        assert!(!succeeds(&stubs.linker, &["-o", "a", "a.c"]));
        assert!(succeeds(&stubs.linker, &["--version"]));
        let calls = stubs.calls();
        assert_eq!(calls.lines().count(), 2, "{calls}");
        fs::remove_dir_all(directory).unwrap();
    }

    /// A workspace with one package, whose build script runs these statements.
    fn build_with_script(name: &str, statements: &str) -> Result<(), String> {
        let root = std::env::temp_dir().join(format!("milena-no-c-{name}-{}", std::process::id()));
        let package = root.join("crates/product");
        fs::create_dir_all(package.join("src")).unwrap();
        fs::write(package.join("src/main.rs"), "fn main() {}").unwrap();
        fs::write(package.join("build.rs"), format!("fn main() {{ {statements} }}")).unwrap();
        let manifest = "[package]\nname = \"product\"\nversion = \"1.0.0\"\nedition = \"2024\"\n";
        fs::write(package.join("Cargo.toml"), manifest).unwrap();
        fs::write(root.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n")
            .unwrap();
        process::stdout_of(workspace::cargo().args(["generate-lockfile", "--offline"]).current_dir(&root))
            .unwrap();
        let outcome = build(&root, &["product".to_owned()]).map_err(|error| error.to_string());
        fs::remove_dir_all(root).unwrap();
        outcome
    }

    #[test]
    fn build_needs_no_compiler_of_c_but_notices_who_calls_one() {
        build_with_script("clean", "println!(\"cargo::rerun-if-changed=build.rs\");").unwrap();
        // Whoever goes on without the compiler is caught as well.
        let error =
            build_with_script("planted", "let _ = std::process::Command::new(\"gcc\").arg(\"-c\").status();");
        assert!(error.unwrap_err().contains("stubs/gcc -c"));
    }
}
