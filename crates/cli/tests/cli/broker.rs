//! `milena broker`.

use std::net::{TcpListener, TcpStream};

use crate::support::{Broker, http, milena};

#[test]
fn it_tells_the_addresses_of_all_nodes_and_has_the_topics_given() {
    let broker = Broker::start(&["-n", "3", "-t", "orders:6:3", "-t", "users:2,cleanup.policy=compact"]);
    assert_eq!(broker.bootstrap.split(',').count(), 3, "{}", broker.bootstrap);
    let topics = broker.milena(&["topic", "list"]).success();
    assert_eq!(topics, "orders  6 partitions\nusers   2 partitions\n");
    let users = broker.milena(&["topic", "describe", "users"]).success();
    assert!(users.contains("cleanup.policy=compact"), "{users}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_and_sigterm_are_its_ordinary_end() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let broker = Broker::start(&[]);
        broker.process.signal(signal);
        assert_eq!(broker.process.wait().code, 0, "{signal}");
    }
}

#[test]
fn configuration_is_checked_at_the_start() {
    let stderr = milena(&["broker", "--listen", "0", "-c", "num.partition=3"]).failure(2);
    assert!(stderr.contains("num.partition"), "{stderr}");
    let stderr = milena(&["broker", "--listen", "0", "-t", "orders:many"]).failure(2);
    assert!(stderr.contains("NAME[:PARTITIONS"), "{stderr}");
}

#[test]
fn a_port_that_is_taken_is_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let stderr = milena(&["broker", "--listen", &listen]).failure(1);
    assert!(stderr.contains(&listen) && stderr.contains("--listen"), "{stderr}");
}

#[test]
fn a_control_port_kills_nodes_over_http() {
    let mut broker = Broker::start(&["-n", "3", "--control", "0"]);
    let line = broker.process.line();
    let control = line.strip_prefix("control=http://").expect("it tells where the control port is");
    assert!(http(control, "GET", "/openapi.json", "").contains("/v1/nodes/{node}/kill"));
    assert!(http(control, "POST", "/v1/nodes/2/kill", "").contains(" 204 "));
    let second = broker.bootstrap.split(',').nth(1).unwrap();
    assert!(TcpStream::connect(second).is_err());
    assert!(http(control, "GET", "/v1/cluster", "").contains("\"running\":false"));
}
