//! The table of side files: folders, names and kinds, each with its source.

use crate::domain::SideKind;
use crate::domain::SideKind::{Sidecar, Sound, System, Telemetry, Thumbnail, Twin, Video};

/// Files that are passed over wherever a search finds them. The first rule that matches counts.
#[derive(Debug)]
pub(super) struct Rule {
    /// Folders that follow each other in the path of the file. If there are none, the rule holds in every folder.
    pub(super) folders: &'static [&'static str],
    /// Names of files, complete. If there are none, `kinds` decides.
    pub(super) names: &'static [&'static str],
    /// Kinds of files. If there are neither kinds nor names, the rule holds for every file.
    pub(super) kinds: &'static [&'static str],
    pub(super) kind: SideKind,
    pub(super) reason: &'static str,
}

/// Files that are passed over if a file with the same name, but of another kind, lies beside them.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) kinds: &'static [&'static str],
    /// Kinds of the other file, in lower case.
    pub(super) beside: &'static [&'static str],
    pub(super) kind: SideKind,
    /// Words that the name of the other file follows.
    pub(super) reason: &'static str,
}

/// Everything below these folders.
const fn folder(folders: &'static [&'static str], kind: SideKind, reason: &'static str) -> Rule {
    Rule { folders, names: &[], kinds: &[], kind, reason }
}

const fn names(names: &'static [&'static str], kind: SideKind, reason: &'static str) -> Rule {
    Rule { folders: &[], names, kinds: &[], kind, reason }
}

const fn kinds(kinds: &'static [&'static str], kind: SideKind, reason: &'static str) -> Rule {
    Rule { folders: &[], names: &[], kinds, kind, reason }
}

pub(super) static RULES: [Rule; 52] = [
    // File servers and operating systems. Their folders come first: a video in a recycle bin is deleted, whatever it
    // was.
    //
    // Synology's indexing service writes thumbnails and metadata beside every file:
    // https://github.com/immich-app/immich/issues/30690
    folder(&["@eaDir"], Thumbnail, "written by a Synology file server for its own pages"),
    // Synology DSM: the recycle bin and the snapshots of a shared folder
    folder(&["#recycle"], System, "deleted, in the recycle bin of a file server"),
    folder(&["#snapshot"], System, "an older state, kept by a file server"),
    // QNAP QTS: Network Recycle Bin and snapshots
    folder(&["@Recycle"], System, "deleted, in the recycle bin of a file server"),
    folder(&["@Recently-Snapshot"], System, "an older state, kept by a file server"),
    // RECYCLER is the recycle bin of Windows XP.
    folder(&["$RECYCLE.BIN"], System, "deleted, in the recycle bin of Windows"),
    folder(&["RECYCLER"], System, "deleted, in the recycle bin of Windows"),
    // Windows: restore points and the drive's identity
    folder(&["System Volume Information"], System, "kept by Windows"),
    // Android's vold puts what fsck_msdos found here: AOSP, system/vold.
    folder(&["LOST.DIR"], System, "a fragment that a repair by Android has found"),
    // e2fsck(8)
    folder(&["lost+found"], System, "a fragment that a repair by Linux has found"),
    // Windows' chkdsk writes FOUND.000/FILE0000.CHK:
    // https://learn.microsoft.com/windows-server/administration/windows-commands/chkdsk
    kinds(&["chk"], System, "a fragment that a repair by Windows has found"),
    names(&["Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db"], Thumbnail, "thumbnails of the Windows Explorer"),
    names(
        &["desktop.ini", "autorun.inf", "folder.ico", "WPSettings.dat", "IndexerVolumeGuid"],
        System,
        "kept by Windows",
    ),
    // GoPro's cards carry "Get_started_with_GoPro.url".
    kinds(&["url", "lnk"], System, "a shortcut"),
    // DJI: preview (.SCR) and thumbnail (.THM) of each photo and video, both JPEGs; MISC/IDX indexes them.
    // https://bentleyhensel.com/whats-all-this-stuff-on-my-memory-card/
    folder(&["MISC", "THM"], Thumbnail, "a preview for the screen of a DJI camera"),
    folder(&["MISC", "IDX"], System, "an index of a DJI camera"),
    // DJI's cards: MISC/GIS/dji.gis has one flight log per session.
    kinds(&["gis"], Telemetry, "a flight log of a DJI drone"),
    // Sony: thumbnails of videos, as C0001T01.JPG. XDROOT is the same folder of professional cameras.
    // Sony PXW-Z90 operating instructions, "File/folder structure on the recording media"
    folder(&["M4ROOT", "THMBNL"], Thumbnail, "a thumbnail of a Sony video"),
    folder(&["XDROOT", "THMBNL"], Thumbnail, "a thumbnail of a Sony video"),
    // Sony: the image database (AVIN0001.BNP, .INP, .INT; PRV00001.BIN).
    folder(&["AVF_INFO"], System, "the image database of a Sony camera"),
    // Canon: catalogues (.CTG) of the folders in DCIM. https://docs.fileformat.com/misc/ctg/
    folder(&["CANONMSC"], System, "a catalogue of a Canon camera"),
    folder(&["EOSMISC"], System, "a catalogue of a Canon camera"),
    kinds(&["ctg"], System, "a catalogue of a Canon camera"),
    // Panasonic P2: icons of clips. https://ingex.sourceforge.net/P2_structure.html
    folder(&["CONTENTS", "ICON"], Thumbnail, "a thumbnail of a Panasonic P2 video"),
    // Parrot Bebop: the drone's FTP server shows media/, thumb/ and academy/ in internal_000/Bebop_2.
    folder(&["Bebop_Drone", "thumb"], Thumbnail, "a thumbnail of a Parrot drone"),
    folder(&["Bebop_2", "thumb"], Thumbnail, "a thumbnail of a Parrot drone"),
    // Nikon: 512 bytes in the root, and the list of files in each folder below DCIM.
    names(&["NIKON001.DSC", "NC_FLLST.DAT"], System, "kept by a Nikon camera"),
    // The print order of DPOF 1.1, MISC/AUTPRINT.MRK.
    names(&["AUTPRINT.MRK"], System, "a print order (DPOF)"),
    // Sony's XDCAM and XAVC, as above
    names(&["MEDIAPRO.XML", "CUEUP.XML", "DISCMETA.XML", "STATUS.BIN"], System, "kept by a Sony camera"),
    // DCF 2.0 (CIPA DC-009-2010) gives thumbnail files this kind; DJI, GoPro, Autel, Canon and Sony write them beside
    // videos.
    kinds(&["thm"], Thumbnail, "a thumbnail file of a camera"),
    // .LRF: DJI. .LRV: GoPro, https://community.gopro.com/s/article/GoPro-Camera-File-Naming-Convention; Skydio,
    // https://support.skydio.com/hc/en-us/articles/38427538893211; Insta360.
    kinds(&["lrf", "lrv"], Video, "a video in a low resolution"),
    // .MOV is also the moving part of Apple's Live Photos.
    kinds(
        &["mp4", "mov", "m4v", "avi", "mkv", "3gp", "mpg", "mpeg", "wmv", "mts", "m2ts", "m2t", "mxf"],
        Video,
        "a video",
    ),
    // JVC: .MOD and .TOD. https://www.easymanua.ls/jvc/gz-hd3u/manual?p=72
    kinds(&["mod", "tod"], Video, "a video of a JVC camera"),
    // https://onlinemanual.insta360.com/x3/en-us/operating-tutorials/storage/fileformat (.insp is a JPEG, a photo);
    // GoPro MAX writes .360, DJI Osmo 360 .OSV.
    kinds(&["insv", "360", "osv"], Video, "a spherical video"),
    // Canon, RED, Blackmagic
    kinds(&["crm", "r3d", "braw"], Video, "a raw video"),
    // FLIR: radiometric sequences
    kinds(&["seq", "csq"], Video, "a thermal video"),
    // .WAV: GoPro's raw sound, voice memos of Canon and Nikon; .AAC: DJI Osmo.
    kinds(&["wav", "aac", "m4a", "mp3"], Sound, "a sound recording"),
    // DJI: place and settings of each frame of a video.
    kinds(&["srt"], Telemetry, "subtitles with the positions of a video"),
    // DJI and Skydio: moments of exposure by RTK. https://support.skydio.com/hc/en-us/articles/32887502774171
    kinds(&["mrk"], Telemetry, "moments of exposure by RTK"),
    // DJI: PPKRAW.bin, PPKOBS.obs, PPKNAV.nav, .rtk, EVENTLOG.bin and their signatures.
    kinds(&["obs", "nav", "rtk", "bin", "sig"], Telemetry, "satellite data or a log"),
    // DJI: flight logs as FLY001.DAT.
    kinds(&["dat"], Telemetry, "a flight log or an index"),
    // Parrot: https://johanneskinzig.de, "Python library for parsing Bebop drones flight logs"
    kinds(&["pud"], Telemetry, "a flight log of a Parrot drone"),
    // Tracks and logs: GPX 1.1; NMEA 0183 as text (.log by Sony and Nikon); MAVLink (.tlog); PX4 (.ulg).
    kinds(&["gpx", "nmea", "log", "tlog", "ulg", "kml"], Telemetry, "a track or a log"),
    // XMP specification, part 3, "Storage in files": sidecar files
    kinds(&["xmp"], Sidecar, "metadata of a photo (XMP)"),
    // Apple: the edits of a photo with the same name
    kinds(&["aae"], Sidecar, "edits of a photo by an iPhone"),
    // Nikon NX Studio: NKSC_PARAM/DSC_0001.NEF.nksc
    kinds(&["nksc"], Sidecar, "edits of a photo by Nikon's software"),
    // Sony: C0001M01.XML beside C0001.MP4; Panasonic and Canon write such files too.
    kinds(&["xml"], Sidecar, "metadata of a video"),
    // AVCHD and XDCAM: indexes of clips and playlists
    kinds(&["bdm", "cpi", "mpl", "tdt", "tid", "smi", "moi", "pgi"], System, "an index of videos"),
    // What is left of the folders of videos: Sony's, and AVCHD of Panasonic and Sony (PRIVATE/AVCHD/BDMV).
    folder(&["M4ROOT"], System, "a part of Sony's videos"),
    folder(&["XDROOT"], System, "a part of Sony's videos"),
    folder(&["AVCHD"], System, "a part of AVCHD videos"),
    // GoPro and DJI: version, settings and databases
    Rule {
        folders: &["MISC"],
        names: &[],
        kinds: &["txt", "db", "json", "ini", "idx", "inf"],
        kind: System,
        reason: "kept by a camera",
    },
];

/// Raw files by the names that makers give them, as in ExifTool's list of file types
/// (<https://exiftool.org/#supported>). TIFF is missing: a TIFF is a finished picture, and beside a JPEG of the same
/// name it may show something else.
const RAW: [&str; 30] = [
    "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "gpr", "iiq", "kdc", "mef", "mos", "mrw", "nef",
    "nrw", "orf", "ori", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f", "rwz", "dc2",
];

pub(super) static PAIRS: [Pair; 3] = [
    // Cameras write a raw file and a .HIF of one name for one exposure:
    // https://onlinemanual.nikonimglib.com/z8/id/psm_file_naming_116.html (Nikon). The finished picture has its full
    // size, while a raw file gives only its preview.
    Pair { kinds: &RAW, beside: &["jpg", "jpeg", "heic", "heif", "hif"], kind: Twin, reason: "shows the same as" },
    Pair { kinds: &["heic", "heif", "hif"], beside: &["jpg", "jpeg"], kind: Twin, reason: "shows the same as" },
    // DJI's preview in a copy of a card that has lost its folders. Elsewhere its content decides: .SCR is also what
    // Windows calls a screen saver.
    Pair { kinds: &["scr"], beside: &["jpg", "jpeg", "dng", "mp4", "mov"], kind: Thumbnail, reason: "a preview of" },
];
