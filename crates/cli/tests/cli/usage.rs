//! What is wrong with a command line or a cluster is said, with the exit code that the help documents.

use std::io::Read;
use std::net::TcpListener;
use std::thread;

use crate::support::{Broker, milena};

#[test]
fn a_wrong_command_line_is_2() {
    assert!(milena(&[]).failure(2).contains("Usage"));
    assert!(milena(&["prodcue"]).failure(2).contains("produce"), "a similar command is named");
    assert!(milena(&["consume", "-t", "orders", "--from", "sometime"]).failure(2).contains("beginning, end"));
}

#[test]
fn a_command_that_needs_a_cluster_says_how_to_name_one() {
    for command in [&["produce", "-t", "orders"][..], &["consume", "-t", "orders"], &["topic", "list"]] {
        let stderr = milena(command).failure(2);
        assert!(stderr.contains("-b HOST:PORT") && stderr.contains("milena broker"), "{stderr}");
    }
}

#[test]
fn an_unknown_property_is_2_and_names_the_nearest() {
    let stderr = milena(&["topic", "list", "-b", "127.0.0.1:1", "-X", "linger=5"]).failure(2);
    assert!(stderr.contains("`linger`") && stderr.contains("`linger.ms`"), "{stderr}");
}

#[test]
fn contradictory_properties_are_2() {
    let properties = ["-X", "enable.idempotence=true", "-X", "acks=1"];
    let broker = Broker::with_topics(&["orders"]);
    let stderr = broker.milena(&[&["produce", "-t", "orders"], &properties[..]].concat()).failure(2);
    assert!(stderr.contains("`acks`"), "{stderr}");
}

#[test]
fn properties_come_from_a_file_and_options_win() {
    let broker = Broker::with_topics(&["orders"]);
    let file = std::env::temp_dir().join(format!("milena-{}.properties", std::process::id()));
    std::fs::write(&file, format!("bootstrap.servers={}\nacks=2\n", broker.bootstrap)).unwrap();
    let path = file.to_str().unwrap();
    let stderr = milena(&["topic", "list", "--config", path]).failure(2);
    assert!(stderr.contains(":2:") && stderr.contains("`acks`"), "{stderr}");

    std::fs::write(&file, format!("bootstrap.servers={}\nsession.timeout.ms=45000\n", broker.bootstrap))
        .unwrap();
    assert_eq!(milena(&["topic", "list", "--config", path]).success(), "orders  1 partition\n");
    for option in [&["-X", "bootstrap.servers=127.0.0.1:1"], &["-b", "127.0.0.1:1"]] {
        let arguments = [&["topic", "list", "--config", path], &option[..]].concat();
        let stderr = milena(&arguments).failure(3);
        assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn no_broker_at_the_address_is_3() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let stderr = milena(&["topic", "list", "-b", &address]).failure(3);
    assert!(stderr.contains(&address) && stderr.contains("-b/--bootstrap"), "{stderr}");
}

#[test]
fn a_web_server_in_place_of_a_broker_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _request = stream.read(&mut [0; 1024]);
            drop(std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let stderr = milena(&["topic", "list", "-b", &address]).failure(3);
    assert!(stderr.contains("HTTP"), "{stderr}");
}

#[test]
fn a_peer_that_takes_the_connection_and_is_silent_is_named_after_the_setup_timeout() {
    // As a web server does, which waits for the end of a line.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let arguments = ["topic", "list", "-b", &address, "-X", "socket.connection.setup.timeout.ms=300"];
    let stderr = milena(&arguments).failure(3);
    for words in
        [&address, "ApiVersions", "300 ms", "does not answer as a Kafka broker", "HTTP server", "TLS port"]
    {
        assert!(stderr.contains(words), "{words} is missing: {stderr}");
    }
}

#[test]
fn mistakes_in_the_address_are_told_by_the_name_of_the_option() {
    let stderr = milena(&["topic", "list", "-b", "foo:bar"]).failure(2);
    assert!(stderr.starts_with("error: -b/--bootstrap is `foo:bar`, but "), "{stderr}");
    let arguments = ["topic", "list", "-b", "127.0.0.1:1", "-X", "metadata.broker.list=127.0.0.1:2"];
    let stderr = milena(&arguments).failure(2);
    assert!(stderr.contains("-b/--bootstrap") && stderr.contains("-X metadata.broker.list"), "{stderr}");
}

#[test]
fn a_login_is_refused_at_once_with_all_that_was_asked_for() {
    let arguments = ["topic", "list", "-b", "127.0.0.1:1", "-X", "security.protocol=SASL_SSL"];
    for more in
        [&[][..], &["-X", "sasl.mechanism=PLAIN"], &["-X", "ssl.ca.location=ca.pem", "-X", "sasl.username=u"]]
    {
        let stderr = milena(&[&arguments[..], more].concat()).failure(2);
        assert!(stderr.contains("TLS and SASL are not supported yet"), "{stderr}");
        for property in more.iter().filter_map(|option| option.split_once('=')) {
            assert!(stderr.contains(property.0), "{stderr}");
        }
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let help = milena(&["--help"]).success();
    for words in ["Examples:", "Exit codes:\n  0    done", "\n  130  ", "milena demo"] {
        assert!(help.contains(words), "{words} is missing in {help}");
    }
    for command in ["demo", "broker", "produce", "consume", "bench", "completions"] {
        assert!(milena(&[command, "--help"]).success().contains("Examples:"), "{command}");
    }
    for command in ["list", "create", "describe", "delete"] {
        assert!(milena(&["topic", command, "--help"]).success().contains("Examples:"), "{command}");
    }
    assert!(milena(&["broker", "--help"]).success().contains("the exit code is 0"));
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = milena(&["completions", shell]).success();
        assert!(script.contains("milena") && script.contains("produce"), "{shell}");
    }
}

#[test]
fn more_is_logged_on_demand_and_never_to_standard_output() {
    let broker = Broker::with_topics(&["orders"]);
    let quiet = broker.milena(&["topic", "list"]);
    assert_eq!(quiet.stderr, "");
    let verbose = broker.milena(&["topic", "list", "-vv"]);
    assert!(verbose.stderr.contains("Metadata"), "{}", verbose.stderr);
    assert_eq!(verbose.success(), "orders  1 partition\n");
}
