//! The package of parts in an archive (OPC): content types, relationships, and what else a zip archive may be.

use std::collections::BTreeMap;

use crate::error::WorkbookError;
use crate::limits::Limits;
use crate::xml::{self, Tokens};
use crate::zip::read::{Archive, Entry};

/// Name of the part that lists content types.
pub const CONTENT_TYPES: &str = "[Content_Types].xml";

/// A workbook's parts.
pub struct Package {
    archive: Archive,
    types: ContentTypes,
}

#[derive(Default)]
struct ContentTypes {
    /// By extension in lower case.
    defaults: BTreeMap<String, String>,
    /// By part in lower case.
    overrides: BTreeMap<String, String>,
}

/// A relationship of a part.
#[derive(Debug, Clone)]
pub struct Relation {
    pub id: String,
    /// Last piece of the type: `worksheet`, `drawing`, `image`.
    pub kind: String,
    /// The type without its last piece, which differs between transitional and strict files.
    pub base: String,
    /// Name of the part to which it leads; `None` for what is outside of the package.
    pub part: Option<String>,
}

impl Package {
    /// Reads the directory and the content types.
    ///
    /// # Errors
    /// If the bytes are no workbook in OOXML, or damaged, or exceed a bound.
    pub fn open(bytes: Vec<u8>, limits: &Limits) -> Result<Self, WorkbookError> {
        recognised(&bytes)?;
        let archive = Archive::open(bytes, limits)?;
        if archive.find("mimetype").is_some() && archive.find(CONTENT_TYPES).is_none() {
            return Err(other("an OpenDocument file; save it as .xlsx"));
        }
        let mut package = Package { archive, types: ContentTypes::default() };
        let types = package.text(CONTENT_TYPES).map_err(|error| match error {
            WorkbookError::Part { reason, .. } if reason == MISSING => other("a zip archive of something else"),
            error => error,
        })?;
        package.types = content_types(&types)?;
        Ok(package)
    }

    /// Returns all entries of the archive in their order.
    pub fn entries(&self) -> &[Entry] {
        self.archive.entries()
    }

    /// Returns the bytes of an entry as they are stored.
    pub fn raw(&self, entry: &Entry) -> &[u8] {
        self.archive.raw(entry)
    }

    /// Whether there is a part of a name.
    pub fn has(&self, part: &str) -> bool {
        self.archive.find(part).is_some()
    }

    /// Returns the content of a part.
    ///
    /// # Errors
    /// If the part is missing or damaged.
    pub fn bytes(&self, part: &str) -> Result<Vec<u8>, WorkbookError> {
        let entry = self.archive.find(part).ok_or_else(|| WorkbookError::part(part, MISSING))?;
        self.archive.content(entry)
    }

    /// Returns the text of an XML part.
    ///
    /// # Errors
    /// If the part is missing, damaged or not UTF-8.
    pub fn text(&self, part: &str) -> Result<String, WorkbookError> {
        xml::text(part, self.bytes(part)?)
    }

    /// Returns the content type of a part; empty if none is stated.
    pub fn content_type(&self, part: &str) -> &str {
        let part = part.to_lowercase();
        let extension = part.rsplit_once('.').map_or("", |(_, extension)| extension);
        self.types.overrides.get(&part).or_else(|| self.types.defaults.get(extension)).map_or("", String::as_str)
    }

    /// Whether files of an extension have a content type.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.types.defaults.contains_key(extension)
    }

    /// Returns the relationships of a part; those of the package for an empty name.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn relations(&self, part: &str) -> Result<Vec<Relation>, WorkbookError> {
        let name = relations_part(part);
        if !self.has(&name) {
            return Ok(Vec::new());
        }
        let mut relations = Vec::new();
        for token in Tokens::new(&name, &self.text(&name)?) {
            let token = token?;
            if token.starts("Relationship") {
                relations.extend(relation(&token, part));
            }
        }
        Ok(relations)
    }
}

const MISSING: &str = "the part is missing";

/// Returns the name of the part with the relationships of a part.
pub fn relations_part(part: &str) -> String {
    let (folder, name) = part.rsplit_once('/').map_or(("", part), |(folder, name)| (folder, name));
    match folder {
        "" => format!("_rels/{name}.rels"),
        _ => format!("{folder}/_rels/{name}.rels"),
    }
}

fn relation(token: &xml::Token<'_>, source: &str) -> Option<Relation> {
    let kind = token.attribute("Type")?;
    let (base, kind) = kind.rsplit_once('/')?;
    let is_external = token.attribute("TargetMode").is_some_and(|mode| mode == "External");
    let target = token.attribute("Target")?;
    let part = if is_external { None } else { resolved(source, &target) };
    Some(Relation { id: token.attribute("Id")?.into_owned(), kind: kind.to_owned(), base: base.to_owned(), part })
}

/// Returns the part to which a target leads from another part; `None` if it leaves the package.
pub fn resolved(source: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    let mut pieces: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => source.rsplit_once('/').map_or(Vec::new(), |(folder, _)| folder.split('/').collect()),
    };
    for piece in target.split('/') {
        match piece {
            "" | "." => (),
            ".." => drop(pieces.pop()?),
            _ => pieces.push(piece),
        }
    }
    (!pieces.is_empty()).then(|| pieces.join("/"))
}

/// Returns the target that leads from one part to another.
pub fn target(part: &str) -> String {
    format!("/{part}")
}

fn content_types(text: &str) -> Result<ContentTypes, WorkbookError> {
    let mut types = ContentTypes::default();
    for token in Tokens::new(CONTENT_TYPES, text) {
        let token = token?;
        let Some(kind) = token.attribute("ContentType") else { continue };
        if let Some(extension) = token.attribute("Extension").filter(|_| token.starts("Default")) {
            types.defaults.insert(extension.to_lowercase(), kind.into_owned());
        } else if let Some(part) = token.attribute("PartName").filter(|_| token.starts("Override")) {
            types.overrides.insert(part.trim_start_matches('/').to_lowercase(), kind.into_owned());
        }
    }
    Ok(types)
}

/// Refuses what is known to be no OOXML file by its first bytes.
fn recognised(bytes: &[u8]) -> Result<(), WorkbookError> {
    const COMPOUND: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    let encrypted: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let is_encrypted = || bytes.windows(encrypted.len()).any(|window| window == encrypted);
    match bytes {
        [] => Err(other("an empty file")),
        _ if bytes.starts_with(COMPOUND) && is_encrypted() => {
            Err(other("a workbook with a password; open it in Excel, remove the password and save it again"))
        }
        _ if bytes.starts_with(COMPOUND) => Err(other("an old .xls workbook; save it as .xlsx in Excel")),
        [b'P', b'K', ..] => Ok(()),
        _ => Err(other("no zip archive")),
    }
}

/// Returns an error that says what a file is.
pub fn other(found: &str) -> WorkbookError {
    WorkbookError::NotWorkbook { found: found.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_inside_the_package() {
        assert_eq!(resolved("xl/worksheets/sheet1.xml", "../drawings/d.xml").as_deref(), Some("xl/drawings/d.xml"));
        assert_eq!(resolved("xl/workbook.xml", "/xl/styles.xml").as_deref(), Some("xl/styles.xml"));
        assert_eq!(resolved("", "xl/workbook.xml").as_deref(), Some("xl/workbook.xml"));
        assert_eq!(resolved("xl/workbook.xml", "../../etc/passwd"), None);
        assert_eq!(relations_part("xl/workbook.xml"), "xl/_rels/workbook.xml.rels");
    }
}
