//! The content of a drive: files, folders, links and sockets. Copies share the bytes of files until one is written to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Number of a node. It is the same in every state made from one recording, because the program stores the numbers of
/// its files.
pub type Ino = u64;

/// Number of the root folder.
pub const ROOT: Ino = 1;

/// All nodes of a drive, including those without a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disk {
    nodes: BTreeMap<Ino, Node>,
}

/// File, folder, link or socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    pub kind: Kind,
    pub owner: Owner,
    /// Number of names that lead to the node.
    pub links: u32,
    /// Time of the last change of content, in nanoseconds since 1970.
    pub modified: u64,
    /// Time of the last change of any kind, in nanoseconds since 1970. No program can set it.
    pub changed: u64,
}

/// Permissions and owner of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    File(Arc<Vec<u8>>),
    Folder(BTreeMap<String, Ino>),
    /// Symbolic link with its target.
    Link(String),
    Socket,
}

/// Smallest change that a drive can keep or lose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// A new node, which has no name yet.
    Node {
        ino: Ino,
        kind: Kind,
        owner: Owner,
    },
    /// A name leads to another node from now on, or to none.
    Name {
        folder: Ino,
        name: String,
        to: Option<Ino>,
    },
    Bytes {
        ino: Ino,
        offset: u64,
        bytes: Arc<[u8]>,
    },
    Size {
        ino: Ino,
        size: u64,
    },
    Attributes {
        ino: Ino,
        owner: Owner,
        modified: Option<u64>,
    },
}

impl Disk {
    /// Returns an empty drive.
    pub fn new(now: u64) -> Self {
        let mut disk = Disk { nodes: BTreeMap::new() };
        let owner = Owner { mode: 0o755, uid: 0, gid: 0 };
        disk.apply(&Effect::Node { ino: ROOT, kind: Kind::Folder(BTreeMap::new()), owner }, now);
        disk
    }

    pub fn node(&self, ino: Ino) -> Option<&Node> {
        self.nodes.get(&ino)
    }

    /// Returns a number that no node has.
    pub fn unused(&self) -> Ino {
        self.nodes.last_key_value().map_or(ROOT, |(ino, _)| ino + 1)
    }

    /// Returns the node that a name in a folder leads to.
    pub fn lookup(&self, folder: Ino, name: &str) -> Option<Ino> {
        self.folder(folder)?.get(name).copied()
    }

    /// Returns the names in a folder; `None` if the node is no folder.
    pub fn folder(&self, ino: Ino) -> Option<&BTreeMap<String, Ino>> {
        match &self.node(ino)?.kind {
            Kind::Folder(names) => Some(names),
            _ => None,
        }
    }

    /// Returns the bytes of a file; `None` if the node is no file.
    pub fn bytes(&self, ino: Ino) -> Option<&[u8]> {
        match &self.node(ino)?.kind {
            Kind::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the node at a path from the root. Follows links to names in their own folder.
    pub fn find(&self, path: &str) -> Option<Ino> {
        let step = |folder: Ino, name: &str| {
            let ino = self.lookup(folder, name)?;
            match &self.node(ino)?.kind {
                Kind::Link(target) => self.lookup(folder, target),
                _ => Some(ino),
            }
        };
        path.split('/').filter(|name| !name.is_empty()).try_fold(ROOT, step)
    }

    /// Returns the bytes of the file at a path.
    pub fn read(&self, path: &str) -> Option<&[u8]> {
        self.bytes(self.find(path)?)
    }

    /// Makes a change at the time `now`. Does nothing if the node is missing or of another kind.
    pub fn apply(&mut self, effect: &Effect, now: u64) {
        match effect {
            Effect::Node { ino, kind, owner } => {
                let node = Node { kind: kind.clone(), owner: *owner, links: 0, modified: now, changed: now };
                self.nodes.insert(*ino, node);
            }
            Effect::Name { folder, name, to } => self.set_name(*folder, name, *to, now),
            Effect::Bytes { ino, offset, bytes } => self.write(*ino, *offset, bytes, now),
            Effect::Size { ino, size } => self.change(*ino, now, |bytes| bytes.resize(*size as usize, 0)),
            Effect::Attributes { ino, owner, modified } => {
                let Some(node) = self.nodes.get_mut(ino) else { return };
                node.owner = *owner;
                node.modified = modified.unwrap_or(node.modified);
                node.changed = now;
            }
        }
    }

    fn set_name(&mut self, folder: Ino, name: &str, to: Option<Ino>, now: u64) {
        let Some(Node { kind: Kind::Folder(names), modified, changed, .. }) = self.nodes.get_mut(&folder) else {
            return;
        };
        (*modified, *changed) = (now, now);
        let before = match to {
            Some(ino) => names.insert(name.to_owned(), ino),
            None => names.remove(name),
        };
        self.count_link(before, now, |links| links.saturating_sub(1));
        self.count_link(to, now, |links| links + 1);
    }

    fn count_link(&mut self, ino: Option<Ino>, now: u64, count: fn(u32) -> u32) {
        if let Some(node) = ino.and_then(|ino| self.nodes.get_mut(&ino)) {
            node.links = count(node.links);
            node.changed = now;
        }
    }

    fn write(&mut self, ino: Ino, offset: u64, new: &[u8], now: u64) {
        let range = offset as usize..offset as usize + new.len();
        self.change(ino, now, |bytes| {
            if bytes.len() < range.end {
                bytes.resize(range.end, 0);
            }
            bytes[range].copy_from_slice(new);
        });
    }

    fn change(&mut self, ino: Ino, now: u64, change: impl FnOnce(&mut Vec<u8>)) {
        let Some(Node { kind: Kind::File(bytes), modified, changed, .. }) = self.nodes.get_mut(&ino) else { return };
        (*modified, *changed) = (now, now);
        change(Arc::make_mut(bytes));
    }

    /// Lists every name on the drive: its folder, the name, and its node.
    pub fn names(&self) -> Vec<(Ino, String, Ino)> {
        let of_folder = |(folder, node): (&Ino, &Node)| match &node.kind {
            Kind::Folder(names) => names.iter().map(|(name, ino)| (*folder, name.clone(), *ino)).collect(),
            _ => Vec::new(),
        };
        self.nodes.iter().flat_map(of_folder).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { mode: 0o644, uid: 0, gid: 0 };

    #[test]
    fn names_lead_to_nodes_and_are_counted() {
        let mut disk = Disk::new(0);
        let ino = disk.unused();
        disk.apply(&Effect::Node { ino, kind: Kind::File(Arc::default()), owner: OWNER }, 1);
        let name = |name: &str, to| Effect::Name { folder: ROOT, name: name.to_owned(), to };
        disk.apply(&name("a", Some(ino)), 2);
        disk.apply(&name("b", Some(ino)), 3);
        disk.apply(&Effect::Bytes { ino, offset: 2, bytes: (*b"xy").into() }, 4);
        assert_eq!((disk.read("/b"), disk.node(ino).map(|node| node.links)), (Some(&b"\0\0xy"[..]), Some(2)));
        disk.apply(&name("a", None), 5);
        disk.apply(&Effect::Size { ino, size: 3 }, 6);
        let node = disk.node(ino).expect("still there");
        assert_eq!((node.links, node.modified, disk.read("a"), disk.read("b")), (1, 6, None, Some(&b"\0\0x"[..])));
    }

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let mut disk = Disk::new(0);
        disk.apply(&Effect::Node { ino: 7, kind: Kind::File(Arc::default()), owner: OWNER }, 0);
        disk.apply(&Effect::Name { folder: ROOT, name: "file".to_owned(), to: Some(7) }, 0);
        disk.apply(&Effect::Node { ino: 8, kind: Kind::Link("file".to_owned()), owner: OWNER }, 0);
        disk.apply(&Effect::Name { folder: ROOT, name: "link".to_owned(), to: Some(8) }, 0);
        let copy = disk.clone();
        disk.apply(&Effect::Bytes { ino: 7, offset: 0, bytes: (*b"new").into() }, 1);
        assert_eq!((copy.read("link"), disk.read("link")), (Some(&b""[..]), Some(&b"new"[..])));
    }
}
