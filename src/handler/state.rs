//! The host's side of `wasi:keyvalue` and `hookyard:handler/emit`: what the guest asks for is
//! staged with its attempt.

use wasmtime::component::Resource;
use wasmtime_wasi::WasiView;

use super::bindings::Bucket;
use super::bindings::hookyard::handler::emit;
use super::bindings::wasi::keyvalue::store;
use super::host::Asking;
use super::host::Host;
use super::log::Level;
use crate::effects::{Answer, Refusal};

/// The names under which a guest may open its bucket. There is one a handler: whoever asks for
/// another means something that there is not.
const NAMES: [&str; 2] = ["", "default"];

type Stored<T> = wasmtime::Result<Result<T, store::Error>>;

impl Host {
    /// Says to a handler, and to its log, why it may not.
    pub fn refused(&self, refusal: &Refusal) -> String {
        let message = refusal.to_string();
        self.log.line(Level::Warn, &message);
        message
    }

    /// A state that cannot be read ends the attempt: a guest might take it for an empty one.
    fn answered<T>(&self, answer: Answer<T>) -> Stored<T> {
        let answer = answer.map_err(wasmtime::Error::from)?;
        Ok(answer.map_err(|refusal| store::Error::Other(self.refused(&refusal))))
    }
}

impl store::Host for Asking<'_> {
    fn open(&mut self, identifier: String) -> Stored<Resource<Bucket>> {
        if let Err(refusal) = self.staging.open() {
            return Ok(Err(store::Error::Other(self.refused(&refusal))));
        }
        if !NAMES.contains(&&*identifier) {
            return Ok(Err(store::Error::NoSuchStore));
        }
        Ok(Ok(self.ctx().table.push(Bucket)?))
    }
}

impl store::HostBucket for Asking<'_> {
    fn get(&mut self, _bucket: Resource<Bucket>, key: String) -> Stored<Option<Vec<u8>>> {
        let value = self.staging.get(key);
        self.answered(value)
    }

    fn set(&mut self, _bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Stored<()> {
        let set = self.staging.put(key, Some(value));
        self.answered(set)
    }

    fn delete(&mut self, _bucket: Resource<Bucket>, key: String) -> Stored<()> {
        let deleted = self.staging.put(key, None);
        self.answered(deleted)
    }

    fn exists(&mut self, _bucket: Resource<Bucket>, key: String) -> Stored<bool> {
        let value = self.staging.get(key);
        Ok(self.answered(value)?.map(|value| value.is_some()))
    }

    fn list_keys(
        &mut self,
        _bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Stored<store::KeyResponse> {
        let page = self.staging.list(cursor);
        Ok(self.answered(page)?.map(|(keys, cursor)| store::KeyResponse { keys, cursor }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.ctx().table.delete(bucket)?;
        Ok(())
    }
}

impl emit::Host for Asking<'_> {
    fn emit(&mut self, event_type: String, body: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        let emitted = self.staging.emit(event_type, body);
        Ok(emitted.map_err(|refusal| self.refused(&refusal)))
    }
}
