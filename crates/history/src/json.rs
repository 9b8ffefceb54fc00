//! Events as JSON lines, and back.

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value, json};

use crate::event::{Entry, Event, History, Isolation, Name, Note};

/// A history that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is no event.
    #[error("line {line}: {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl History {
    /// Writes one line for each event.
    ///
    /// # Errors
    /// `out` cannot be written to.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        for entry in &self.entries {
            writeln!(out, "{}", entry.to_json())?;
        }
        out.flush()
    }

    /// Reads what [`write`](Self::write) wrote, or another program.
    ///
    /// # Errors
    /// A line cannot be read, or is no event of the format.
    pub fn read(lines: impl BufRead) -> Result<Self, ReadError> {
        let mut entries = Vec::new();
        for (index, line) in lines.lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |what: String| ReadError::Line { line: index + 1, what };
            let value: Value = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
            let fields = value.as_object().ok_or_else(|| wrong("not an object".to_owned()))?;
            entries.push(Fields(fields).entry().map_err(wrong)?);
        }
        Ok(Self { entries })
    }
}

impl Entry {
    /// The event as one line, without the line's end.
    pub fn to_json(&self) -> String {
        let (ev, mut fields) = self.event.fields();
        let seconds = self.at_us as f64 / 1e6;
        let mut line = Map::from_iter([("ev".to_owned(), json!(ev)), ("t".to_owned(), json!(seconds))]);
        if let Value::Object(own) = &mut fields {
            line.append(own);
        }
        Value::Object(line).to_string()
    }
}

impl Event {
    fn fields(&self) -> (&'static str, Value) {
        match self {
            Self::Meta { final_committed, final_uncommitted, eos, idempotent, partitions_added } => {
                let eos = eos
                    .iter()
                    .map(|(source, output)| json!({"source": **source, "output": **output}))
                    .collect::<Vec<_>>();
                let fields = json!({
                    "final_committed": names(final_committed), "final_uncommitted": names(final_uncommitted),
                    "eos": eos, "idempotent": idempotent, "partitions_added": partitions_added,
                });
                ("meta", fields)
            }
            Self::Send { client, id, topic, seq, key, partition, txn, src } => {
                let mut fields =
                    json!({"c": **client, "id": id, "topic": **topic, "seq": seq, "key": key.as_deref()});
                if let Some(partition) = partition {
                    fields["partition"] = json!(partition);
                }
                if let Some(txn) = txn {
                    fields["txn"] = json!(**txn);
                }
                if let Some((topic, partition, offset)) = src {
                    fields["src"] = json!([**topic, partition, offset]);
                }
                ("send", fields)
            }
            Self::Ack { client, id, topic, partition, offset } => {
                let fields = json!({
                    "c": **client, "id": id, "topic": **topic, "partition": partition, "offset": offset,
                });
                ("ack", fields)
            }
            Self::Fail { client, id, error, definite } => {
                ("fail", json!({"c": **client, "id": id, "error": error, "definite": definite}))
            }
            Self::TxnBegin { client, txn, tid } => {
                ("txn_begin", json!({"c": **client, "txn": **txn, "tid": **tid}))
            }
            Self::TxnCommitStart { client, txn } => {
                ("txn_commit_start", json!({"c": **client, "txn": **txn}))
            }
            Self::TxnCommit { client, txn } => ("txn_commit", json!({"c": **client, "txn": **txn})),
            Self::TxnAbort { client, txn } => ("txn_abort", json!({"c": **client, "txn": **txn})),
            Self::TxnUnknown { client, txn } => ("txn_unknown", json!({"c": **client, "txn": **txn})),
            Self::TxnOffsets { client, txn, group, topic, partition, offset } => {
                let fields = json!({
                    "c": **client, "txn": **txn, "group": **group, "topic": **topic, "partition": partition,
                    "offset": offset,
                });
                ("txn_offsets", fields)
            }
            Self::Assign { client, group, topic, partition } => {
                ("assign", owned(client, group, topic, *partition))
            }
            Self::Revoke { client, group, topic, partition } => {
                ("revoke", owned(client, group, topic, *partition))
            }
            Self::Lost { client, group, topic, partition } => {
                ("lost", owned(client, group, topic, *partition))
            }
            Self::Poll { client, topic, partition, offset, id, isolation } => {
                let isolation = match isolation {
                    Isolation::ReadCommitted => "read_committed",
                    Isolation::ReadUncommitted => "read_uncommitted",
                };
                let fields = json!({
                    "c": **client, "topic": **topic, "partition": partition, "offset": offset, "id": id,
                    "isolation": isolation,
                });
                ("poll", fields)
            }
            Self::Seek { client, topic, partition, offset } => {
                let fields =
                    json!({"c": **client, "topic": **topic, "partition": partition, "offset": offset});
                ("seek", fields)
            }
            Self::Commit { client, group, topic, partition, offset } => {
                let mut fields = of_group(group, topic, *partition, *offset);
                fields["c"] = json!(**client);
                ("commit", fields)
            }
            Self::Reset { group, topic, partition, offset } => {
                ("reset", of_group(group, topic, *partition, *offset))
            }
            Self::FetchCommitted { group, topic, partition, offset } => {
                ("fetch_committed", of_group(group, topic, *partition, *offset))
            }
            Self::Crash { client } => ("crash", json!({"c": **client})),
            Self::Note(note) => ("note", note.fields()),
        }
    }
}

fn owned(client: &Name, group: &Name, topic: &Name, partition: i32) -> Value {
    json!({"c": **client, "group": **group, "topic": **topic, "partition": partition})
}

fn of_group(group: &Name, topic: &Name, partition: i32, offset: i64) -> Value {
    json!({"group": **group, "topic": **topic, "partition": partition, "offset": offset})
}

fn names(names: &[Name]) -> Value {
    names.iter().map(|name| json!(**name)).collect()
}

impl Note {
    fn fields(&self) -> Value {
        match self {
            Self::Producer {
                client,
                idempotent,
                pipelined,
                acknowledged,
                max_block_us,
                delivery_timeout_us,
                buffer_bytes,
            } => json!({
                "note": "producer", "c": **client, "idempotent": idempotent, "pipelined": pipelined,
                "acknowledged": acknowledged, "max_block_us": max_block_us,
                "delivery_timeout_us": delivery_timeout_us, "buffer_bytes": buffer_bytes,
            }),
            Self::Admitted { client, id, bytes, observed } => {
                json!({"note": "admitted", "c": **client, "id": id, "bytes": bytes, "observed": observed})
            }
            Self::FlushStart { client } => json!({"note": "flush_start", "c": **client}),
            Self::Flushed { client, failed } => json!({"note": "flushed", "c": **client, "failed": failed}),
            Self::Gauge { what, used, limit } => {
                json!({"note": "gauge", "what": what, "used": used, "limit": limit})
            }
            Self::IsolationStart { bystanders, within_us } => {
                let bystanders: Vec<_> =
                    bystanders.iter().map(|(topic, partition)| json!([**topic, partition])).collect();
                json!({"note": "isolation_start", "bystanders": bystanders, "within_us": within_us})
            }
            Self::IsolationEnd => json!({"note": "isolation_end"}),
            Self::Unreadable { topic, partition, from, to } => json!({
                "note": "unreadable", "topic": **topic, "partition": partition, "from": from, "to": to,
            }),
            Self::Stuck { what } => json!({"note": "stuck", "what": what}),
            Self::Text(text) => json!({"note": "text", "text": text}),
        }
    }
}

/// One line's fields.
struct Fields<'a>(&'a Map<String, Value>);

type Parsed<T> = Result<T, String>;

impl Fields<'_> {
    fn entry(&self) -> Parsed<Entry> {
        let seconds = self.get("t")?.as_f64().ok_or("`t` is no number")?;
        Ok(Entry { at_us: (seconds * 1e6).round() as u64, event: self.event()? })
    }

    fn event(&self) -> Parsed<Event> {
        let event = match &*self.name("ev")? {
            "meta" => Event::Meta {
                final_committed: self.names("final_committed")?,
                final_uncommitted: self.names("final_uncommitted")?,
                eos: self.eos()?,
                idempotent: self.flag("idempotent"),
                partitions_added: self.flag("partitions_added"),
            },
            "send" => Event::Send {
                client: self.name("c")?,
                id: self.number("id")?,
                topic: self.name("topic")?,
                seq: self.number("seq")?,
                key: self.maybe_name("key"),
                partition: self.has("partition").then(|| self.number("partition")).transpose()?,
                txn: self.maybe_name("txn"),
                src: self.has("src").then(|| self.source()).transpose()?,
            },
            "ack" => Event::Ack {
                client: self.name("c")?,
                id: self.number("id")?,
                topic: self.name("topic")?,
                partition: self.number("partition")?,
                offset: self.number("offset")?,
            },
            "fail" => Event::Fail {
                client: self.name("c")?,
                id: self.number("id")?,
                error: self.name("error")?.to_string(),
                definite: self.flag("definite"),
            },
            "poll" => Event::Poll {
                client: self.name("c")?,
                topic: self.name("topic")?,
                partition: self.number("partition")?,
                offset: self.number("offset")?,
                id: self.number("id")?,
                isolation: match self.maybe_name("isolation").as_deref() {
                    Some("read_committed") => Isolation::ReadCommitted,
                    _ => Isolation::ReadUncommitted,
                },
            },
            "seek" => Event::Seek {
                client: self.name("c")?,
                topic: self.name("topic")?,
                partition: self.number("partition")?,
                offset: self.number("offset")?,
            },
            "crash" => Event::Crash { client: self.name("c")? },
            "note" => Event::Note(self.note()?),
            ev if ev.starts_with("txn_") => self.transaction(ev)?,
            ev => self.of_group(ev)?,
        };
        Ok(event)
    }

    fn transaction(&self, ev: &str) -> Parsed<Event> {
        let (client, txn) = (self.name("c")?, self.name("txn")?);
        Ok(match ev {
            "txn_begin" => Event::TxnBegin { client, txn, tid: self.name("tid")? },
            "txn_commit_start" => Event::TxnCommitStart { client, txn },
            "txn_commit" => Event::TxnCommit { client, txn },
            "txn_abort" => Event::TxnAbort { client, txn },
            "txn_unknown" => Event::TxnUnknown { client, txn },
            "txn_offsets" => Event::TxnOffsets {
                client,
                txn,
                group: self.name("group")?,
                topic: self.name("topic")?,
                partition: self.number("partition")?,
                offset: self.number("offset")?,
            },
            other => return Err(format!("unknown event `{other}`")),
        })
    }

    fn of_group(&self, ev: &str) -> Parsed<Event> {
        let group = self.maybe_name("group").unwrap_or_default();
        let (topic, partition) = (self.name("topic"), self.number("partition"));
        Ok(match ev {
            "assign" => {
                Event::Assign { client: self.name("c")?, group, topic: topic?, partition: partition? }
            }
            "revoke" => {
                Event::Revoke { client: self.name("c")?, group, topic: topic?, partition: partition? }
            }
            "lost" => Event::Lost { client: self.name("c")?, group, topic: topic?, partition: partition? },
            "commit" => Event::Commit {
                client: self.name("c")?,
                group,
                topic: topic?,
                partition: partition?,
                offset: self.number("offset")?,
            },
            "reset" => {
                Event::Reset { group, topic: topic?, partition: partition?, offset: self.number("offset")? }
            }
            "fetch_committed" => Event::FetchCommitted {
                group,
                topic: topic?,
                partition: partition?,
                offset: self.number("offset")?,
            },
            other => return Err(format!("unknown event `{other}`")),
        })
    }

    /// A note of ours; one of others is kept for people.
    fn note(&self) -> Parsed<Note> {
        let client = || self.name("c");
        Ok(match self.maybe_name("note").as_deref() {
            Some("producer") => Note::Producer {
                client: client()?,
                idempotent: self.flag("idempotent"),
                pipelined: self.flag("pipelined"),
                acknowledged: self.flag("acknowledged"),
                max_block_us: self.number("max_block_us")?,
                delivery_timeout_us: self.number("delivery_timeout_us")?,
                buffer_bytes: self.number("buffer_bytes")?,
            },
            Some("admitted") => Note::Admitted {
                client: client()?,
                id: self.number("id")?,
                bytes: self.number("bytes")?,
                observed: self.flag("observed"),
            },
            Some("flush_start") => Note::FlushStart { client: client()? },
            Some("flushed") => Note::Flushed { client: client()?, failed: self.number("failed")? },
            Some("gauge") => Note::Gauge {
                what: self.name("what")?.to_string(),
                used: self.number("used")?,
                limit: self.number("limit")?,
            },
            Some("isolation_start") => {
                Note::IsolationStart { bystanders: self.bystanders()?, within_us: self.number("within_us")? }
            }
            Some("isolation_end") => Note::IsolationEnd,
            Some("unreadable") => Note::Unreadable {
                topic: self.name("topic")?,
                partition: self.number("partition")?,
                from: self.number("from")?,
                to: self.number("to")?,
            },
            Some("stuck") => Note::Stuck { what: self.name("what")?.to_string() },
            Some("text") => Note::Text(self.name("text")?.to_string()),
            _ => Note::Text(Value::Object(self.0.clone()).to_string()),
        })
    }

    fn bystanders(&self) -> Parsed<Vec<(Name, i32)>> {
        let list = self.get("bystanders")?.as_array().ok_or("`bystanders` is no list")?;
        let pair = |pair: &Value| {
            let partition = pair[1].as_i64().and_then(|partition| i32::try_from(partition).ok());
            Some((Name::from(pair[0].as_str()?), partition?))
        };
        list.iter()
            .map(|value| pair(value).ok_or_else(|| "a bystander is [topic, partition]".to_owned()))
            .collect()
    }

    fn eos(&self) -> Parsed<Vec<(Name, Name)>> {
        let Some(list) = self.0.get("eos").and_then(Value::as_array) else { return Ok(Vec::new()) };
        let chain =
            |chain: &Value| Some((chain["source"].as_str()?.into(), chain["output"].as_str()?.into()));
        list.iter().map(|value| chain(value).ok_or_else(|| "`eos` is {source, output}".to_owned())).collect()
    }

    fn source(&self) -> Parsed<(Name, i32, i64)> {
        let list = self.get("src")?;
        let parse = || {
            let partition = i32::try_from(list[1].as_i64()?).ok()?;
            Some((Name::from(list[0].as_str()?), partition, list[2].as_i64()?))
        };
        parse().ok_or_else(|| "`src` is [topic, partition, offset]".to_owned())
    }

    fn get(&self, field: &str) -> Parsed<&Value> {
        self.0.get(field).ok_or_else(|| format!("`{field}` is missing"))
    }

    fn has(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| !value.is_null())
    }

    fn name(&self, field: &str) -> Parsed<Name> {
        self.get(field)?.as_str().map(Name::from).ok_or_else(|| format!("`{field}` is no text"))
    }

    fn maybe_name(&self, field: &str) -> Option<Name> {
        self.0.get(field).and_then(Value::as_str).map(Name::from)
    }

    fn names(&self, field: &str) -> Parsed<Vec<Name>> {
        let Some(list) = self.0.get(field).and_then(Value::as_array) else { return Ok(Vec::new()) };
        let name = |value: &Value| value.as_str().map(Name::from);
        list.iter().map(|value| name(value).ok_or_else(|| format!("`{field}` is a list of texts"))).collect()
    }

    fn flag(&self, field: &str) -> bool {
        self.0.get(field).and_then(Value::as_bool).unwrap_or(false)
    }

    fn number<T: TryFrom<i64>>(&self, field: &str) -> Parsed<T> {
        let number = self.get(field)?.as_i64().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("`{field}` is no number that fits"))
    }
}

#[cfg(test)]
mod tests;
