use super::*;

fn crate_named(name: &str) -> Dependency {
    Dependency { name: name.to_owned(), version: "1.0.0".to_owned(), ..Dependency::default() }
}

fn reasons(dependencies: &[Dependency]) -> Vec<String> {
    policy::offences(dependencies).into_iter().map(|offence| offence.because).collect()
}

#[test]
fn crates_that_bring_c_are_caught_by_name() {
    for name in
        ["cc", "ring", "aws-lc-rs", "openssl", "zstd-sys", "librdkafka_sys", "cmake", "bindgen", "pkg-config"]
    {
        assert_eq!(reasons(&[crate_named(name)]).len(), 1, "{name}");
    }
    for name in ["bytes", "windows-sys", "linux-raw-sys", "crc32c", "zlib-rs"] {
        assert_eq!(reasons(&[crate_named(name)]), [""; 0], "{name}");
    }
}

#[test]
fn harmless_name_does_not_hide_a_linked_library() {
    let crate_with_links = Dependency { links: Some("z".to_owned()), ..crate_named("innocent") };
    assert_eq!(reasons(&[crate_with_links]), ["has links = \"z\" in its manifest"]);
}

#[test]
fn harmless_name_does_not_hide_a_compiling_build_script() {
    let with_script =
        |script: &str| Dependency { build_script: Some(script.to_owned()), ..crate_named("innocent") };
    let scripts = [
        "fn main() { cc::Build::new().file(\"a.c\").compile(\"a\"); }",
        "fn main() { println!(\"cargo:rustc-link-lib=static=a\"); }",
        "fn main() { std::process::Command::new(\"make\").status().unwrap(); }",
    ];
    for script in scripts {
        assert_eq!(reasons(&[with_script(script)]).len(), 1, "{script}");
    }
    let asks_rustc = "// like cc::Build\nfn main() { Command::new(rustc).arg(\"-V\"); rustcc::version(); }";
    assert_eq!(reasons(&[with_script(asks_rustc)]), [""; 0]);
}

/// A workspace of its own: a shipped package, one behind it that is only needed on Windows, and a tool of tests.
fn planted_workspace() -> PathBuf {
    let root = std::env::temp_dir().join(format!("milena-no-c-{}", std::process::id()));
    let package = |folder: &str, name: &str, rest: &str| {
        let folder = root.join(folder);
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
        let manifest =
            format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n{rest}");
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    };
    package(
        "crates/product",
        "product",
        "[features]\nextra = [\"dep:planted\"]\n\
         [target.'cfg(windows)'.dependencies]\nplanted = { path = \"../../planted\", optional = true }\n\
         [dev-dependencies]\ntest-tool = { path = \"../../test-tool\" }\n",
    );
    package("planted", "planted", "links = \"planted\"\n");
    package("test-tool", "test-tool", "links = \"tool\"\n");
    for linking in ["planted", "test-tool"] {
        fs::write(root.join(linking).join("build.rs"), "fn main() {}").unwrap();
    }
    fs::write(root.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n").unwrap();
    process::stdout_of(workspace::cargo().args(["generate-lockfile", "--offline"]).current_dir(&root))
        .unwrap();
    root
}

#[test]
fn planted_crate_is_found_behind_a_feature_and_a_target() {
    let root = planted_workspace();
    let shipped = workspace::shipped(&root).unwrap();
    assert_eq!(shipped, ["product"]);
    let packages = all_packages(&root).unwrap();
    let found = |target: &str| reasons(&needed(&root, &shipped, target, &packages).unwrap());
    assert_eq!(found("x86_64-pc-windows-msvc"), ["has links = \"planted\" in its manifest"]);
    // Not needed there; and what only tests need is not shipped.
    assert_eq!(found("x86_64-unknown-linux-gnu"), [""; 0]);
    fs::remove_dir_all(root).unwrap();
}
