//! Java programs beside the brokers: Kafka's own tools, and small ones that a test brings along.

use std::borrow::Cow;
use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::availability::find_program;
use crate::error::{Doing, tail};
use crate::jvm::{JavaRun, Jvm};
use crate::reaper::{self, Leash};
use crate::scratch::Scratch;
use crate::{Error, KafkaVersion};

/// Java with the jars of one release of Kafka: runs its tools, and compiles and runs programs that use its clients.
///
/// ```no_run
/// # async fn example() -> Result<(), milena_testcontainers::Error> {
/// use milena_testcontainers::{Java, KafkaVersion};
///
/// let source = r#"
///     import org.apache.kafka.clients.producer.ProducerConfig;
///     public class Defaults {
///         public static void main(String[] args) {
///             System.out.println(ProducerConfig.configDef().defaultValues().get(args[0]));
///         }
///     }"#;
/// let program = Java::of(KafkaVersion::LATEST).compile("Defaults", source).await?;
/// let output = program.command().arg("linger.ms").run().await?;
/// assert_eq!(output.text().trim(), "5");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Java {
    version: KafkaVersion,
}

impl Java {
    /// With the jars of this release, which are fetched when they are first needed.
    #[must_use]
    pub fn of(version: KafkaVersion) -> Self {
        Self { version }
    }

    /// A run of a class that is in Kafka's jars, such as `org.apache.kafka.tools.TopicCommand`.
    pub fn tool(self, class: &str) -> JavaCommand {
        JavaCommand::new(self.version, class, None)
    }

    /// Compiles one source file, whose public class is `class`, against Kafka's jars.
    ///
    /// Takes some 2 s; the program can then be run any number of times.
    ///
    /// # Errors
    ///
    /// [`Error::Java`] with the compiler's messages; [`Error::Unavailable`] without a JDK.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the compiler and removes what it wrote.
    pub async fn compile(self, class: &str, source: &str) -> Result<JavaProgram, Error> {
        let jvm = Jvm::find(self.version).await?;
        let javac = find_program("javac", "JAVA_HOME").map_err(|reasons| Error::Unavailable { reasons })?;
        let classes = Scratch::new().doing(|| "creating a directory for classes".to_owned())?;
        let file = classes.path().join(format!("{class}.java"));
        fs::write(&file, source).doing(|| format!("writing {}", file.display()))?;

        let mut command = Command::new(javac);
        command.arg("-cp").arg(jvm.classpath()).arg("-d").arg(classes.path()).arg(&file);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.doing(|| format!("compiling {class}.java"))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::Java {
                program: format!("javac {class}.java"),
                status: output.status.to_string(),
                stderr,
            });
        }
        Ok(JavaProgram { java: self, class: class.to_owned(), classes: Arc::new(classes) })
    }
}

/// A compiled program; its classes are removed when it and all its commands are dropped.
#[derive(Clone, Debug)]
pub struct JavaProgram {
    java: Java,
    class: String,
    classes: Arc<Scratch>,
}

impl JavaProgram {
    /// A run of it.
    pub fn command(&self) -> JavaCommand {
        JavaCommand::new(self.java.version, &self.class, Some(Arc::clone(&self.classes)))
    }
}

/// One run of a Java program, about to be started.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before run(), output() or spawn()"]
pub struct JavaCommand {
    version: KafkaVersion,
    class: String,
    classes: Option<Arc<Scratch>>,
    arguments: Vec<String>,
    options: Vec<String>,
    stdin: Vec<u8>,
    timeout: Duration,
}

impl JavaCommand {
    fn new(version: KafkaVersion, class: &str, classes: Option<Arc<Scratch>>) -> Self {
        Self {
            version,
            class: class.to_owned(),
            classes,
            arguments: Vec::new(),
            options: Vec::new(),
            stdin: Vec::new(),
            timeout: Duration::from_secs(120),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds an option for the JVM, such as `-Xmx1g` or `-Dname=value`. Default: a heap of 256 MiB.
    pub fn java_option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// What the program reads from standard input. Default: nothing.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// How long it may run before it is killed; not for [`spawn`](Self::spawn). Default: 120 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end, which has to be a good one.
    ///
    /// # Errors
    ///
    /// [`Error::Java`] when it ends with an error, and as [`output`](Self::output).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the program.
    pub async fn run(self) -> Result<JavaOutput, Error> {
        let program = self.class.clone();
        let output = self.output().await?;
        if output.status == Some(0) {
            return Ok(output);
        }
        let status = output.status.map_or("a signal".to_owned(), |status| format!("status {status}"));
        Err(Error::Java { program, status, stderr: format!("{}{}", output.text(), output.stderr) })
    }

    /// Runs it to its end, good or bad.
    ///
    /// # Errors
    ///
    /// [`Error::JavaTimeout`], [`Error::Unavailable`] without Java, and as a fetch of jars fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the program.
    pub async fn output(self) -> Result<JavaOutput, Error> {
        let (mut child, _leash) = self.start(Stdio::piped()).await?;
        let mut stdin = child.stdin.take().expect("stdin is always piped");
        let feed = async {
            // A program may end before it has read everything; its status says whether that was right.
            drop(stdin.write_all(&self.stdin).await);
            drop(stdin);
        };
        let finish = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = match tokio::time::timeout(self.timeout, finish).await {
            Ok(output) => output.doing(|| format!("running {}", self.class))?,
            Err(_) => return Err(Error::JavaTimeout { program: self.class, waited: self.timeout }),
        };
        Ok(JavaOutput {
            status: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts it and goes on beside it, line by line.
    ///
    /// What [`stdin`](Self::stdin) gave is not used: see [`JavaProcess::write_line`].
    ///
    /// # Errors
    ///
    /// As [`output`](Self::output).
    pub async fn spawn(self) -> Result<JavaProcess, Error> {
        let directory = Scratch::new().doing(|| "creating a directory for a program's errors".to_owned())?;
        let path = directory.path().join("stderr");
        let stderr = fs::File::create(&path).doing(|| format!("creating {}", path.display()))?;
        let (mut child, leash) = self.start(stderr.into()).await?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is always piped");
        let lines = BufReader::new(stdout).lines();
        Ok(JavaProcess {
            class: self.class,
            stdin,
            lines,
            child,
            directory,
            _leash: leash,
            _classes: self.classes,
        })
    }

    async fn start(&self, stderr: Stdio) -> Result<(Child, Leash), Error> {
        let jvm = Jvm::find(self.version).await?;
        let mut classpath = jvm.classpath();
        if let Some(classes) = &self.classes {
            // After the jars: a shared archive of classes fits only a class path that begins like its own.
            classpath = format!("{classpath}:{}", classes.path().display());
        }
        let run = JavaRun { class: &self.class, heap_mib: 256, options: &self.options };
        let mut command = Command::from(std::process::Command::new(jvm.program()));
        command.args(jvm.arguments(&run, &classpath)).args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let child = command.spawn().doing(|| format!("starting {}", self.class))?;
        let pid = child.id().expect("not waited for yet");
        let leash =
            reaper::leash(pid).doing(|| "starting the shell that watches over programs".to_owned())?;
        Ok((child, leash))
    }
}

/// What a program left behind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JavaOutput {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote, byte by byte.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: String,
}

impl JavaOutput {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }
}

/// A running program. Dropped: killed.
#[derive(Debug)]
pub struct JavaProcess {
    class: String,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
    directory: Scratch,
    _leash: Leash,
    _classes: Option<Arc<Scratch>>,
}

impl JavaProcess {
    /// Gives the program a line to read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it does not read any more.
    ///
    /// # Cancel safety
    ///
    /// Not safe: part of the line may have been written.
    pub async fn write_line(&mut self, line: &str) -> Result<(), Error> {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let write = async {
            let stdin = self.stdin.as_mut().ok_or_else(closed)?;
            stdin.write_all(format!("{line}\n").as_bytes()).await?;
            stdin.flush().await
        };
        write.await.doing(|| format!("writing to {}", self.class))
    }

    /// Ends the program's standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line that the program writes; `None` when it has closed its output.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the line is not UTF-8.
    ///
    /// # Cancel safety
    ///
    /// Safe: no line is lost.
    pub async fn next_line(&mut self) -> Result<Option<String>, Error> {
        self.lines.next_line().await.doing(|| format!("reading from {}", self.class))
    }

    /// Waits for the program's end, which has to be a good one.
    ///
    /// # Errors
    ///
    /// [`Error::Java`] with the end of what it wrote to standard error.
    ///
    /// # Cancel safety
    ///
    /// Safe: it can be called again.
    pub async fn wait(&mut self) -> Result<(), Error> {
        self.close_stdin();
        let status = self.child.wait().await.doing(|| format!("waiting for {}", self.class))?;
        if status.success() {
            return Ok(());
        }
        let stderr = tail(&self.directory.path().join("stderr"), 50);
        Err(Error::Java { program: self.class.clone(), status: status.to_string(), stderr })
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the operating system refuses.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.child.kill().await.doing(|| format!("killing {}", self.class))
    }
}
