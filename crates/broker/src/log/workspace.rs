//! Memory that reading batches needs again and again.

use milena_records::{Batch, RecordSection, RecordsError, Scratch};

/// The codecs' working memory and a buffer for decompressed records: one for each connection, kept between requests.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) scratch: Scratch,
    buffer: Vec<u8>,
}

impl Workspace {
    /// Has `read` look at the records of a batch, decompressed into the kept buffer.
    pub(crate) fn with_records<T>(
        &mut self,
        batch: &Batch,
        read: impl FnOnce(&RecordSection, &mut Scratch) -> T,
    ) -> Result<T, RecordsError> {
        let section = batch.decompress(&mut self.scratch, &mut self.buffer)?;
        let result = read(&section, &mut self.scratch);
        // The records of an uncompressed batch are a slice of it, and there is no buffer to have back.
        if let Some(buffer) = section.into_buffer() {
            self.buffer = buffer;
        }
        Ok(result)
    }
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace").field("buffer", &self.buffer.capacity()).finish_non_exhaustive()
    }
}
