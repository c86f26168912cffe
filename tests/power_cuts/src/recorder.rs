//! A file system in memory that records every change and every sync, and answers the kernel's calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use fuser::Errno;

use crate::disk::{Disk, Effect, Ino, Kind, Node, Owner};
use crate::promises::Mark;
use crate::recording::{Change, Entry, Recording, Sync};

/// Answer to a call, or its error.
pub type Answer<T> = Result<T, Errno>;

/// Drive with its recording; clones share it.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<State>>);

struct State {
    disk: Disk,
    entries: Vec<Entry>,
    /// Folders that are being read, with their content when they were opened.
    readers: BTreeMap<u64, Vec<(Ino, Kind, String)>>,
    start: Disk,
    before: Vec<Mark>,
}

/// Returns the present time in nanoseconds since 1970.
pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64)
}

impl Recorder {
    /// Starts with this state of a drive, and with what was promised before.
    pub fn new(disk: Disk, before: Vec<Mark>) -> Self {
        let start = disk.clone();
        Recorder(Arc::new(Mutex::new(State { disk, entries: Vec::new(), readers: BTreeMap::new(), start, before })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn mark(&self, mark: Mark) {
        self.state().entries.push(Entry::Mark(mark));
    }

    pub fn sync(&self, sync: Sync) {
        self.state().entries.push(Entry::Sync(sync));
    }

    /// Returns the drive's present content, as running programs see it.
    pub fn disk(&self) -> Disk {
        self.state().disk.clone()
    }

    /// Returns the recording so far.
    pub fn recording(&self) -> Recording {
        let State { start, before, entries, .. } = &*self.state();
        Recording { start: start.clone(), before: before.clone(), entries: entries.clone() }
    }

    pub fn node(&self, ino: Ino) -> Answer<Node> {
        self.state().disk.node(ino).cloned().ok_or(Errno::ENOENT)
    }

    pub fn lookup(&self, folder: Ino, name: &str) -> Answer<(Ino, Node)> {
        let state = self.state();
        let ino = state.disk.lookup(folder, name).ok_or(Errno::ENOENT)?;
        state.disk.node(ino).cloned().map(|node| (ino, node)).ok_or(Errno::EIO)
    }

    pub fn read(&self, ino: Ino, offset: u64, size: u32) -> Answer<Vec<u8>> {
        let state = self.state();
        let bytes = state.disk.bytes(ino).ok_or(Errno::EISDIR)?;
        let begin = bytes.len().min(offset as usize);
        let end = bytes.len().min(offset as usize + size as usize);
        Ok(bytes[begin..end].to_vec())
    }

    /// Opens a folder for reading and returns a handle.
    pub fn open_folder(&self, ino: Ino) -> Answer<u64> {
        let mut state = self.state();
        let names = state.disk.folder(ino).ok_or(Errno::ENOTDIR)?.clone();
        let kind = |ino: Ino| state.disk.node(ino).map(|node| node.kind.clone());
        let entries = names.into_iter().filter_map(|(name, ino)| Some((ino, kind(ino)?, name))).collect();
        let handle = state.readers.last_key_value().map_or(1, |(handle, _)| handle + 1);
        state.readers.insert(handle, entries);
        Ok(handle)
    }

    /// Returns the entries of an open folder from the number `offset` on.
    pub fn read_folder(&self, handle: u64, offset: u64) -> Vec<(Ino, Kind, String)> {
        let state = self.state();
        state.readers.get(&handle).map_or(Vec::new(), |entries| entries.iter().skip(offset as usize).cloned().collect())
    }

    pub fn close_folder(&self, handle: u64) {
        self.state().readers.remove(&handle);
    }

    /// Makes a node and gives it its first name.
    pub fn make(&self, folder: Ino, name: &str, kind: Kind, owner: Owner) -> Answer<(Ino, Node)> {
        let mut state = self.state();
        state.free_name(folder, name)?;
        let ino = state.disk.unused();
        let named = Effect::Name { folder, name: name.to_owned(), to: Some(ino) };
        state.change(vec![Effect::Node { ino, kind, owner }, named]);
        state.disk.node(ino).cloned().map(|node| (ino, node)).ok_or(Errno::EIO)
    }

    /// Gives a file another name.
    pub fn link(&self, ino: Ino, folder: Ino, name: &str) -> Answer<Node> {
        let mut state = self.state();
        state.free_name(folder, name)?;
        state.change(vec![Effect::Name { folder, name: name.to_owned(), to: Some(ino) }]);
        state.disk.node(ino).cloned().ok_or(Errno::ENOENT)
    }

    /// Removes the name of a file, or of an empty folder.
    pub fn remove(&self, folder: Ino, name: &str, wants_folder: bool) -> Answer<()> {
        let mut state = self.state();
        let ino = state.disk.lookup(folder, name).ok_or(Errno::ENOENT)?;
        match (state.disk.folder(ino), wants_folder) {
            (Some(names), true) if !names.is_empty() => return Err(Errno::ENOTEMPTY),
            (Some(_), false) => return Err(Errno::EISDIR),
            (None, true) => return Err(Errno::ENOTDIR),
            _ => (),
        }
        state.change(vec![Effect::Name { folder, name: name.to_owned(), to: None }]);
        Ok(())
    }

    /// Moves a name. Replaces the node that has the new name, unless `keeps`.
    pub fn rename(&self, from: (Ino, &str), to: (Ino, &str), keeps: bool) -> Answer<()> {
        let mut state = self.state();
        let ino = state.disk.lookup(from.0, from.1).ok_or(Errno::ENOENT)?;
        match state.disk.lookup(to.0, to.1) {
            Some(_) if keeps => return Err(Errno::EEXIST),
            // POSIX requires that two names of one file both stay.
            Some(other) if other == ino => return Ok(()),
            Some(other) if state.disk.folder(other).is_some_and(|names| !names.is_empty()) => {
                return Err(Errno::ENOTEMPTY);
            }
            _ => (),
        }
        let name = |(folder, name): (Ino, &str), to| Effect::Name { folder, name: name.to_owned(), to };
        state.change(vec![name(from, None), name(to, Some(ino))]);
        Ok(())
    }

    pub fn write(&self, ino: Ino, offset: u64, bytes: &[u8]) -> Answer<()> {
        let mut state = self.state();
        state.disk.bytes(ino).ok_or(Errno::EISDIR)?;
        state.change(vec![Effect::Bytes { ino, offset, bytes: bytes.into() }]);
        Ok(())
    }

    /// Sets the size of a file. Unless it `may_shrink`, a larger file stays as it is.
    pub fn resize(&self, ino: Ino, size: u64, may_shrink: bool) -> Answer<()> {
        let mut state = self.state();
        let before = state.disk.bytes(ino).ok_or(Errno::EISDIR)?.len() as u64;
        if size > before || may_shrink && size != before {
            state.change(vec![Effect::Size { ino, size }]);
        }
        Ok(())
    }

    pub fn set_attributes(&self, ino: Ino, owner: impl FnOnce(Owner) -> Owner, modified: Option<u64>) -> Answer<()> {
        let mut state = self.state();
        let before = state.disk.node(ino).ok_or(Errno::ENOENT)?.owner;
        let owner = owner(before);
        if owner != before || modified.is_some() {
            state.change(vec![Effect::Attributes { ino, owner, modified }]);
        }
        Ok(())
    }
}

impl State {
    fn change(&mut self, effects: Vec<Effect>) {
        let at = now();
        effects.iter().for_each(|effect| self.disk.apply(effect, at));
        self.entries.push(Entry::Change(Change { at, effects }));
    }

    fn free_name(&self, folder: Ino, name: &str) -> Answer<()> {
        let names = self.disk.folder(folder).ok_or(Errno::ENOTDIR)?;
        if names.contains_key(name) { Err(Errno::EEXIST) } else { Ok(()) }
    }
}
