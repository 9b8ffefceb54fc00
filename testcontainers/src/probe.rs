//! Asks a broker what it knows of its cluster, in the few bytes that takes.
//!
//! Written by hand so that a test suite's idea of "Kafka is up" shares nothing with the client under test.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Far above any answer about no topics; what claims more is not Kafka.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// One broker, as another one, or itself, sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) node_id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The brokers that the one at `address` (`"host:port"`) knows to be up.
///
/// With KRaft these are the registered and unfenced ones (`MetadataCache.getAliveBrokerNodes`), with ZooKeeper those
/// with a session.
pub(crate) async fn brokers_known_at(address: &str) -> io::Result<Vec<Broker>> {
    let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer to a Metadata request");
    tokio::time::timeout(TIMEOUT, ask(address)).await.map_err(timed_out)?
}

async fn ask(address: &str) -> io::Result<Vec<Broker>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&METADATA_REQUEST).await?;
    let length = stream.read_u32().await?;
    let length = usize::try_from(length).ok().filter(|length| (4..=ANSWER_BYTES_MAX).contains(length));
    let mut answer = vec![0; length.ok_or_else(not_kafka)?];
    stream.read_exact(&mut answer).await?;
    brokers_in(&answer).ok_or_else(not_kafka)
}

fn not_kafka() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer to a Metadata request is not Kafka's")
}

/// Metadata (key 3) in version 1, which brokers from 0.10 to 4.3 know, of no topics.
const METADATA_REQUEST: [u8; 18] = [
    0, 0, 0, 14, // length
    0, 3, 0, 1, // API key, version
    0, 0, 0, 7, // correlation id
    0xff, 0xff, // no client id
    0, 0, 0, 0, // topics: an empty list
];

/// MetadataResponse version 1 begins: correlation id, then an array of node id, host, port and nullable rack.
fn brokers_in(answer: &[u8]) -> Option<Vec<Broker>> {
    let mut rest = answer;
    if read_i32(&mut rest)? != 7 {
        return None;
    }
    let count = read_i32(&mut rest)?;
    (0..count)
        .map(|_| {
            let node_id = read_i32(&mut rest)?;
            let host = read_string(&mut rest)??;
            let port = u16::try_from(read_i32(&mut rest)?).ok()?;
            let _rack = read_string(&mut rest)?;
            Some(Broker { node_id, host, port })
        })
        .collect()
}

fn read_i32(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(i32::from_be_bytes(*bytes))
}

/// `Some(None)` is Kafka's null.
fn read_string(rest: &mut &[u8]) -> Option<Option<String>> {
    let (bytes, after) = rest.split_first_chunk()?;
    let Ok(length) = usize::try_from(i16::from_be_bytes(*bytes)) else {
        *rest = after;
        return Some(None);
    };
    let (text, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(Some(String::from_utf8(text.to_vec()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"\0\0\0\x07\0\0\0\x02\
        \0\0\0\x01\0\x09127.0.0.1\0\0\x23\x84\xff\xff\
        \0\0\0\x02\0\x09127.0.0.1\0\0\x23\x85\0\x01r\0\0\0\x01\0\0\0\0";

    #[test]
    fn brokers_are_read_with_and_without_rack() {
        let broker = |node_id, port| Broker { node_id, host: "127.0.0.1".to_owned(), port };
        assert_eq!(brokers_in(ANSWER).unwrap(), [broker(1, 9092), broker(2, 9093)]);
    }

    #[test]
    fn cut_or_foreign_answers_are_not_kafka() {
        let brokers_end = ANSWER.len() - 8;
        for end in 0..brokers_end {
            assert_eq!(brokers_in(&ANSWER[..end]), None, "cut at {end}");
        }
        assert_eq!(brokers_in(b"HTTP/1.1 400 Bad Request\r\n"), None);
    }

    #[tokio::test]
    async fn http_server_is_not_taken_for_kafka() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        };
        let (answer, ()) = tokio::join!(brokers_known_at(&address), server);
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
