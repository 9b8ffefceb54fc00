//! What clients do to a broker.

use std::fmt;
use std::time::Duration;

use milena_testcontainers::{Java, KafkaVersion};
use tokio::process::Command;

use crate::subject::output;
use crate::{Args, Result};

/// Far longer than any client takes, unless it hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// A client, and whether it writes or reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) tool: Tool,
    direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `milena bench`.
    Milena,
    /// ProducerPerformance and ConsumerPerformance.
    Java,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Produce,
    Consume,
}

impl Load {
    /// A topic is written before it is read.
    pub(crate) const ALL: [Self; 4] = [
        Self { tool: Tool::Milena, direction: Direction::Produce },
        Self { tool: Tool::Milena, direction: Direction::Consume },
        Self { tool: Tool::Java, direction: Direction::Produce },
        Self { tool: Tool::Java, direction: Direction::Consume },
    ];

    /// What the floor is measured with.
    pub(crate) const FLOOR: Self = Self { tool: Tool::Milena, direction: Direction::Consume };

    /// How often a round does it.
    pub(crate) fn times(self, args: &Args) -> u32 {
        match self.direction {
            Direction::Produce => 1,
            Direction::Consume => args.reads.max(1),
        }
    }

    /// Has the client do its work, and waits until it is done.
    pub(crate) async fn run(self, args: &Args, bootstrap: &str, topic: &str) -> Result<()> {
        let (records, size) = (args.records.to_string(), args.size.to_string());
        match self.tool {
            Tool::Milena => {
                let mut command = Command::new(&args.milena);
                command.args(["bench", self.verb(), "--bootstrap", bootstrap, "--topic", topic]);
                command.args(["--records", &records, "--size", &size, "--json"]);
                tokio::time::timeout(LIMIT, output(command)).await?.map(drop)
            }
            Tool::Java => {
                let tool = Java::of(KafkaVersion::LATEST).tool(self.class()).timeout(LIMIT);
                let tool =
                    tool.args(["--bootstrap-server", bootstrap, "--topic", topic, "--num-records", &records]);
                let tool = match self.direction {
                    Direction::Produce => tool.args(["--record-size", &size, "--throughput", "-1"]),
                    Direction::Consume => tool.args(["--hide-header", "--timeout", "60000"]),
                };
                tool.run().await?;
                Ok(())
            }
        }
    }

    fn verb(self) -> &'static str {
        match self.direction {
            Direction::Produce => "produce",
            Direction::Consume => "consume",
        }
    }

    fn class(self) -> &'static str {
        match self.direction {
            Direction::Produce => "org.apache.kafka.tools.ProducerPerformance",
            Direction::Consume => "org.apache.kafka.tools.ConsumerPerformance",
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tool {
            Tool::Milena => write!(f, "`milena bench {}`", self.verb()),
            Tool::Java => write!(f, "`{}`", self.class().rsplit('.').next().unwrap_or_default()),
        }
    }
}
