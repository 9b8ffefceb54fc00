use super::*;

fn file(path: &str, text: &str) -> File {
    File { path: PathBuf::from(path), text: text.to_owned() }
}

fn complaints(files: &[File]) -> Vec<String> {
    breaches(files).iter().map(Breach::to_string).collect()
}

#[test]
fn long_file_needs_a_reason() {
    let long = "\n".repeat(601);
    assert_eq!(complaints(&[file("a.rs", &long)]).len(), 1);
    assert_eq!(complaints(&[file("a.rs", &"\n".repeat(600))]), [""; 0]);
    assert_eq!(complaints(&[file("a.rs", &format!("// long file: one table\n{long}"))]), [""; 0]);
    assert_eq!(complaints(&[file("src/generated/a.rs", &long)]), [""; 0]);
    assert_eq!(complaints(&[file("README.md", &long)]).len(), 1);
}

#[test]
fn ignored_tests_silenced_lints_and_open_ends_are_found() {
    let ignored = format!("#[{}]", "ignore = \"slow\"");
    let silenced = format!("    #![{}dead_code)]", concat!("all", "ow("));
    let open = format!("fn f() {{ {}) }}", concat!("to", "do!("));
    for line in [&ignored, &silenced, &open] {
        assert_eq!(
            complaints(&[file("a.rs", &format!("\n{line}\n"))])[0].split(' ').next(),
            Some("a.rs:2:"),
            "{line}"
        );
    }
    // A method of that name is none of our business, nor is a comment.
    let fine = format!(
        "acl.{}\"User:a\");\n// {}\n#[expect(dead_code, reason = \"x\")]",
        concat!("all", "ow("),
        open
    );
    assert_eq!(complaints(&[file("a.rs", &fine)]), [""; 0]);
}

#[test]
fn path_of_a_machine_is_found_in_any_text() {
    let path = ["/ro", "ot/project"].concat();
    assert_eq!(complaints(&[file("script.sh", &format!("cd {path}"))]).len(), 1);
    assert_eq!(complaints(&[file("Cargo.lock", &path)]), [""; 0]);
}

#[test]
fn dependency_is_named_once_and_with_a_reason() {
    let workspace =
        "[workspace.dependencies]\nmilena = { path = \"a\" }\nbytes = \"1\" # slices\nbare = \"1\"\n";
    assert_eq!(complaints(&[file("Cargo.toml", workspace)]).len(), 1);
    let package = "[package]\nname = \"a\"\n[dependencies]\nbytes.workspace = true\n\
                   tokio = { workspace = true, features = [\"rt\"] }\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n";
    let found = complaints(&[file("crates/a/Cargo.toml", package)]);
    assert!(found.len() == 1 && found[0].starts_with("crates/a/Cargo.toml:7:"), "{found:?}");
}

#[test]
fn links_lead_to_files_and_headings() {
    let guide =
        file("docs/guide.md", "# First steps\n[up](../README.md) [here](#first-steps) [gone](#second)\n");
    let readme = file(
        "README.md",
        "[guide](docs/guide.md#first-steps) [site](https://example.org/x)\n[lost](docs/no.md)\n[f](docs)",
    );
    let found = complaints(&[guide, readme]);
    assert_eq!(
        found,
        [
            "docs/guide.md:2: a link to #second, which is no heading of docs/guide.md",
            "README.md:2: a link to docs/no.md, which does not exist"
        ]
    );
}
