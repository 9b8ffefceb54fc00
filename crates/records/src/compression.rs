use std::fmt;
use std::str::FromStr;

/// How the records of a batch are compressed.
///
/// The number is the one in the lowest three bits of a batch's attributes (Java: `CompressionType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None = 0,
    /// Deflate in gzip framing.
    Gzip = 1,
    /// Snappy blocks in xerial framing, as Java writes them.
    Snappy = 2,
    /// LZ4 frame.
    Lz4 = 3,
    /// Zstandard frame; Kafka 2.1 and later (KIP-110).
    Zstd = 4,
}

impl Compression {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in a batch's attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The compression with this number, if Kafka defines one.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// Kafka's name for it: the value of `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Whether this build can compress and decompress it (a Cargo feature of the same name).
    pub fn is_available(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Snappy => cfg!(feature = "snappy"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// The levels that Kafka accepts for it (KIP-390), or `None` where it has no levels.
    fn levels(self) -> Option<LevelRange> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(LevelRange { min: 1, max: 9, default: -1 }),
            Self::Lz4 => Some(LevelRange { min: 1, max: 17, default: 9 }),
            Self::Zstd => Some(LevelRange { min: -131_072, max: 22, default: 3 }),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name() == name)
            .ok_or_else(|| UnknownCompression { name: name.to_owned() })
    }
}

/// A name that is no compression of Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression {name:?}; use none, gzip, snappy, lz4 or zstd")]
pub struct UnknownCompression {
    name: String,
}

struct LevelRange {
    min: i32,
    max: i32,
    /// Valid too where it lies outside `min..=max` (gzip's -1).
    default: i32,
}

/// A compression and the level to compress at.
///
/// Levels are Kafka's (KIP-390; `compression.gzip.level`, `compression.lz4.level`, `compression.zstd.level`): gzip 1
/// to 9 or -1 (default), lz4 1 to 17 (default 9), zstd -131072 to 22 (default 3); none and snappy have no levels.
///
/// lz4 has one compressor here, the fast one that Java uses at its default level; the high-compression levels are
/// accepted so that a configuration made for Java works, and compress like the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Codec {
    compression: Compression,
    level: Option<i32>,
}

impl Codec {
    /// No compression.
    pub const NONE: Self = Self::new(Compression::None);

    /// This compression at its default level.
    pub const fn new(compression: Compression) -> Self {
        Self { compression, level: None }
    }

    /// This compression at this level.
    ///
    /// # Errors
    /// When Kafka has no such level for it.
    pub fn with_level(compression: Compression, level: i32) -> Result<Self, InvalidLevel> {
        match compression.levels() {
            Some(range) if (range.min..=range.max).contains(&level) || level == range.default => {
                Ok(Self { compression, level: Some(level) })
            }
            range => {
                Err(InvalidLevel { compression, level, range: range.map(|range| (range.min, range.max)) })
            }
        }
    }

    /// The compression.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The level asked for, if any.
    pub fn level(&self) -> Option<i32> {
        self.level
    }
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Self {
        Self::new(compression)
    }
}

/// A level that Kafka does not define for this compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLevel {
    compression: Compression,
    level: i32,
    range: Option<(i32, i32)>,
}

impl fmt::Display for InvalidLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compression, level, range } = self;
        match range {
            None => write!(f, "compression {compression} has no levels; leave out level {level}"),
            Some((min, max)) => {
                write!(f, "compression {compression} has no level {level}; use {min} to {max}")
            }
        }
    }
}

impl std::error::Error for InvalidLevel {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_kafkas() {
        let listed: Vec<_> = Compression::ALL.iter().map(|c| (c.id(), c.name())).collect();
        assert_eq!(listed, [(0, "none"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")]);
        for compression in Compression::ALL {
            assert_eq!(compression.name().parse(), Ok(compression));
            assert_eq!(Compression::from_id(compression.id()), Some(compression));
        }
        assert_eq!(Compression::from_id(5), None);
        assert!("LZ4".parse::<Compression>().is_err());
    }

    #[test]
    fn levels_outside_kafkas_ranges_are_refused() {
        for (compression, valid, invalid) in [
            (Compression::Gzip, vec![-1, 1, 9], vec![-2, 0, 10]),
            (Compression::Lz4, vec![1, 9, 17], vec![-1, 0, 18]),
            (Compression::Zstd, vec![-131_072, -1, 0, 3, 22], vec![-131_073, 23]),
            (Compression::Snappy, vec![], vec![0, 1]),
            (Compression::None, vec![], vec![0, 1]),
        ] {
            for level in valid {
                assert!(Codec::with_level(compression, level).is_ok(), "{compression} {level}");
            }
            for level in invalid {
                assert!(Codec::with_level(compression, level).is_err(), "{compression} {level}");
            }
        }
    }

    #[test]
    fn level_errors_say_what_is_possible() {
        let error = Codec::with_level(Compression::Gzip, 12).unwrap_err();
        assert_eq!(error.to_string(), "compression gzip has no level 12; use 1 to 9");
        let error = Codec::with_level(Compression::Snappy, 1).unwrap_err();
        assert_eq!(error.to_string(), "compression snappy has no levels; leave out level 1");
    }
}
