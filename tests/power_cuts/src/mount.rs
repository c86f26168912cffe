//! The mounted recording file system, which serves the kernel's requests.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::disk::{Ino, Kind, Node, Owner};
use crate::recorder::{Answer, Recorder, now};
use crate::recording::Sync;

/// Time for which the kernel may cache names and attributes: nothing changes except through the kernel.
const KEPT: Duration = Duration::from_secs(3600);
const GENERATION: Generation = Generation(0);
const BLOCK_BYTES: u32 = 4096;
/// Size and free room that the drive claims, in blocks: 16 GB.
const BLOCKS: u64 = 4 << 20;
/// Bits of `mode` without the kind of file.
const PERMISSIONS: u32 = 0o7777;
/// Kinds of file in `mknod` (sys/stat.h: `S_IFMT`, `S_IFSOCK`, `S_IFREG`).
const KIND_MASK: u32 = 0o170_000;
const SOCKET: u32 = 0o140_000;
const REGULAR: u32 = 0o100_000;
/// Mode of `fallocate` that reserves room beyond the end without a change of the size. No other mode is known.
const KEEP_SIZE: i32 = 1;

/// Mounted drive; dropping it unmounts it.
pub struct Mounted {
    session: Option<BackgroundSession>,
}

impl Mounted {
    /// Mounts the drive at an empty folder.
    ///
    /// # Errors
    /// Without /dev/fuse or without root's rights.
    pub fn new(recorder: &Recorder, at: &Path) -> io::Result<Self> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("power-cuts".to_owned()), MountOption::DefaultPermissions];
        let session = fuser::spawn_mount(Drive(recorder.clone()), at, &config)?;
        Ok(Mounted { session: Some(session) })
    }

    /// Unmounts the drive. All programs that used it must have ended.
    ///
    /// # Errors
    /// If a program still uses it.
    pub fn end(mut self) -> io::Result<()> {
        self.session.take().map_or(Ok(()), BackgroundSession::umount_and_join)
    }
}

/// File system as the kernel sees it.
struct Drive(Recorder);

fn attributes(ino: Ino, node: &Node) -> FileAttr {
    let (kind, size) = match &node.kind {
        Kind::File(bytes) => (FileType::RegularFile, bytes.len() as u64),
        Kind::Folder(_) => (FileType::Directory, u64::from(BLOCK_BYTES)),
        Kind::Link(target) => (FileType::Symlink, target.len() as u64),
        Kind::Socket => (FileType::Socket, 0),
    };
    let time = |ns: u64| SystemTime::UNIX_EPOCH + Duration::from_nanos(ns);
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.div_ceil(512),
        atime: time(node.modified),
        mtime: time(node.modified),
        ctime: time(node.changed),
        crtime: time(0),
        kind,
        perm: node.owner.mode as u16,
        nlink: node.links,
        uid: node.owner.uid,
        gid: node.owner.gid,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

fn kind(kind: &Kind) -> FileType {
    match kind {
        Kind::File(_) => FileType::RegularFile,
        Kind::Folder(_) => FileType::Directory,
        Kind::Link(_) => FileType::Symlink,
        Kind::Socket => FileType::Socket,
    }
}

fn plain(name: &OsStr) -> Answer<&str> {
    name.to_str().ok_or(Errno::EINVAL)
}

fn owner(request: &Request, mode: u32) -> Owner {
    Owner { mode: mode & PERMISSIONS, uid: request.uid(), gid: request.gid() }
}

fn nanoseconds(time: TimeOrNow) -> u64 {
    match time {
        TimeOrNow::Now => now(),
        TimeOrNow::SpecificTime(time) => {
            time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
        }
    }
}

fn entry(answer: Answer<(Ino, Node)>, reply: ReplyEntry) {
    match answer {
        Ok((ino, node)) => reply.entry(&KEPT, &attributes(ino, &node), GENERATION),
        Err(error) => reply.error(error),
    }
}

fn empty(answer: Answer<()>, reply: ReplyEmpty) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn data(answer: Answer<Vec<u8>>, reply: ReplyData) {
    match answer {
        Ok(bytes) => reply.data(&bytes),
        Err(error) => reply.error(error),
    }
}

impl Drive {
    fn make(&self, parent: INodeNo, name: &OsStr, kind: Kind, owner: Owner) -> Answer<(Ino, Node)> {
        self.0.make(parent.0, plain(name)?, kind, owner)
    }

    fn attributes(&self, ino: INodeNo, reply: ReplyAttr) {
        match self.0.node(ino.0) {
            Ok(node) => reply.attr(&KEPT, &attributes(ino.0, &node)),
            Err(error) => reply.error(error),
        }
    }
}

impl Filesystem for Drive {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(plain(name).and_then(|name| self.0.lookup(parent.0, name)), reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.attributes(ino, reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let new = |before: Owner| Owner {
            mode: mode.map_or(before.mode, |mode| mode & PERMISSIONS),
            uid: uid.unwrap_or(before.uid),
            gid: gid.unwrap_or(before.gid),
        };
        let resized = size.map_or(Ok(()), |size| self.0.resize(ino.0, size, true));
        match resized.and_then(|()| self.0.set_attributes(ino.0, new, mtime.map(nanoseconds))) {
            Ok(()) => self.attributes(ino, reply),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let target = self.0.node(ino.0).and_then(|node| match node.kind {
            Kind::Link(target) => Ok(target.into_bytes()),
            _ => Err(Errno::EINVAL),
        });
        data(target, reply);
    }

    fn mknod(&self, of: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, _: u32, reply: ReplyEntry) {
        let made = match mode & KIND_MASK {
            SOCKET => self.make(parent, name, Kind::Socket, owner(of, mode)),
            REGULAR => self.make(parent, name, Kind::File(std::sync::Arc::default()), owner(of, mode)),
            _ => Err(Errno::EPERM),
        };
        entry(made, reply);
    }

    fn mkdir(&self, of: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        entry(self.make(parent, name, Kind::Folder(std::collections::BTreeMap::new()), owner(of, mode)), reply);
    }

    fn symlink(&self, of: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let target = plain(target.as_os_str()).map(str::to_owned);
        let made = target.and_then(|target| self.make(parent, name, Kind::Link(target), owner(of, 0o777)));
        entry(made, reply);
    }

    fn create(&self, of: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, _: i32, reply: ReplyCreate) {
        match self.make(parent, name, Kind::File(std::sync::Arc::default()), owner(of, mode)) {
            Ok((ino, node)) => {
                let cached = FopenFlags::FOPEN_KEEP_CACHE;
                reply.created(&KEPT, &attributes(ino, &node), GENERATION, FileHandle(0), cached);
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(plain(name).and_then(|name| self.0.remove(parent.0, name, false)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(plain(name).and_then(|name| self.0.remove(parent.0, name, true)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let keeps = flags == RenameFlags::RENAME_NOREPLACE;
        if !keeps && !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let names = plain(name).and_then(|name| Ok((name, plain(new_name)?)));
        empty(names.and_then(|(name, new)| self.0.rename((parent.0, name), (to.0, new), keeps)), reply);
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = plain(name).and_then(|name| self.0.link(ino.0, parent.0, name));
        entry(linked.map(|node| (ino.0, node)), reply);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        data(self.0.read(ino.0, offset, size), reply);
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.write(ino.0, offset, bytes) {
            Ok(()) => reply.written(bytes.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, data_only: bool, reply: ReplyEmpty) {
        self.0.sync(Sync::File { ino: ino.0, data_only });
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.open_folder(ino.0) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        for (place, (ino, of, name)) in (offset + 1..).zip(self.0.read_folder(handle.0, offset)) {
            if reply.add(INodeNo(ino), place, kind(&of), name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.close_folder(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.sync(Sync::Folder(ino.0));
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCK_BYTES, 255, BLOCK_BYTES);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        match mode {
            0 => empty(self.0.resize(ino.0, offset + length, false), reply),
            KEEP_SIZE => reply.ok(),
            _ => reply.error(Errno::EOPNOTSUPP),
        }
    }
}
