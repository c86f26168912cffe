//! The pictures of a filled workbook: their files, and the drawings that place them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::book::Workbook;
use crate::error::WorkbookError;
use crate::geometry::Lengths;
use crate::package::{Relation, relations_part};
use crate::picture::{Anchor, PictureSize, fitted, size};
use crate::xml::{Tokens, escape};
use crate::zip::write::ArchiveWriter;

use super::plan::Plan;
use super::relations::{appended, next_id, relation_element, relations_text};
use super::report::FillReport;
use super::rows::PictureRequest;

const DRAWING_NAMESPACE: &str = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing";
const MAIN_NAMESPACE: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";

/// The drawing of a sheet that gets pictures.
pub struct Drawing {
    pub part: String,
    pub is_new: bool,
    /// How the sheet refers to it.
    pub relation: Relation,
    text: String,
}

/// The pictures of a sheet, with the widths and heights of their areas.
type Requests = Vec<(PictureRequest, Lengths)>;

/// All pictures that will be placed. `sheets` has the part and the text of each drawing.
pub struct Pictures<'a> {
    template: &'a Workbook,
    sheets: Vec<(String, String, Requests)>,
    pub new_drawings: Vec<String>,
}

impl<'a> Pictures<'a> {
    pub fn new(template: &'a Workbook) -> Self {
        Pictures { template, sheets: Vec::new(), new_drawings: Vec::new() }
    }

    /// Takes the pictures of a sheet; returns the drawing that will place them, if there are any.
    pub fn request(
        &mut self,
        sheet: usize,
        requests: Vec<PictureRequest>,
        plan: Option<&Plan<'_>>,
    ) -> Result<Option<Drawing>, WorkbookError> {
        let Some(plan) = plan.filter(|_| !requests.is_empty()) else { return Ok(None) };
        let drawing = self.drawing(sheet)?;
        if drawing.is_new {
            self.new_drawings.push(drawing.part.clone());
        }
        let lengths = |request: PictureRequest| {
            let lengths = plan.geometry.lengths(request.area);
            (request, lengths)
        };
        let requests = requests.into_iter().map(lengths).collect();
        self.sheets.push((drawing.part.clone(), drawing.text.clone(), requests));
        Ok(Some(drawing))
    }

    /// Returns the drawing of a sheet, or a new one.
    fn drawing(&self, sheet: usize) -> Result<Drawing, WorkbookError> {
        let (package, part) = (&self.template.package, &self.template.sheets[sheet].part);
        let relations = package.relations(part)?;
        if let Some(relation) = relations.iter().find(|relation| relation.kind == "drawing")
            && let Some(part) = &relation.part
        {
            let text = package.text(part)?;
            return Ok(Drawing { part: part.clone(), is_new: false, relation: relation.clone(), text });
        }
        let free = (1..).map(|number| format!("xl/drawings/bridgeclip{number}.xml"));
        let is_free = |name: &String| !package.has(name) && !self.new_drawings.contains(name);
        let new = free.into_iter().find(is_free).unwrap_or_default();
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<xdr:wsDr \
             xmlns:xdr=\"{DRAWING_NAMESPACE}\" xmlns:a=\"{MAIN_NAMESPACE}\"></xdr:wsDr>"
        );
        let relation = Relation {
            id: next_id(&relations),
            kind: "drawing".to_owned(),
            base: self.template.relations_base.clone(),
            part: Some(new.clone()),
        };
        Ok(Drawing { part: new, is_new: true, relation, text })
    }

    /// Whether there is any picture.
    pub fn has_any(&self) -> bool {
        !self.sheets.is_empty()
    }

    /// Whether a part of the template is written with the pictures.
    pub fn owns(&self, part: &str) -> bool {
        self.sheets.iter().any(|(drawing, ..)| {
            drawing.eq_ignore_ascii_case(part) || relations_part(drawing).eq_ignore_ascii_case(part)
        })
    }

    /// Gives a drawing another text, if it gets pictures.
    pub fn replace(&mut self, part: &str, text: &str) -> bool {
        let found = self.sheets.iter_mut().find(|(drawing, ..)| drawing.eq_ignore_ascii_case(part));
        found.map(|(_, old, _)| text.clone_into(old)).is_some()
    }

    /// Writes the pictures one by one, and then the drawings.
    pub fn write<W: Write>(
        self,
        archive: &mut ArchiveWriter<W>,
        load: &mut dyn FnMut(&str) -> io::Result<Vec<u8>>,
        report: &mut FillReport,
    ) -> Result<(), WorkbookError> {
        let mut media = Media { template: self.template, files: BTreeMap::new(), number: 0 };
        let mut drawings = Vec::new();
        for (part, text, requests) in self.sheets {
            let mut placing = Placing::new(self.template, &part, &text)?;
            for (request, lengths) in &requests {
                let (file, size) = media.file(&request.key, archive, load)?;
                let Some(anchor) = fitted(size, request.area, lengths) else {
                    report.pictures_hidden += 1;
                    continue;
                };
                placing.place(&file, &Anchor { row: anchor.row + request.lower, ..anchor });
                report.pictures += 1;
            }
            drawings.push(placing);
        }
        drawings.into_iter().try_for_each(|placing| placing.finish(archive))
    }
}

/// The files of pictures, by their keys.
struct Media<'a> {
    template: &'a Workbook,
    files: BTreeMap<String, (String, PictureSize)>,
    number: u32,
}

impl Media<'_> {
    fn file<W: Write>(
        &mut self,
        key: &str,
        archive: &mut ArchiveWriter<W>,
        load: &mut dyn FnMut(&str) -> io::Result<Vec<u8>>,
    ) -> Result<(String, PictureSize), WorkbookError> {
        if let Some(found) = self.files.get(key) {
            return Ok(found.clone());
        }
        let wrong = |reason: String| WorkbookError::Picture { key: key.to_owned(), reason };
        let bytes = load(key).map_err(|error| wrong(error.to_string()))?;
        let size = size(&bytes).map_err(wrong)?;
        let mut name = String::new();
        while name.is_empty() || self.template.package.has(&name) {
            self.number += 1;
            name = format!("xl/media/bridgeclip{:04}.{}", self.number, size.extension);
        }
        archive.store(&name, &bytes)?;
        self.files.insert(key.to_owned(), (name.clone(), size));
        Ok((name, size))
    }
}

/// A drawing that pictures are added to.
struct Placing {
    part: String,
    text: String,
    relations: String,
    base: String,
    ids: Vec<Relation>,
    files: BTreeMap<String, String>,
    anchors: String,
    shape: u32,
}

impl Placing {
    fn new(template: &Workbook, part: &str, text: &str) -> Result<Self, WorkbookError> {
        let relations = relations_part(part);
        let mut shape = 0;
        for token in Tokens::new(part, text) {
            let token = token?;
            if token.starts("cNvPr") {
                shape = shape.max(token.attribute("id").and_then(|id| id.parse().ok()).unwrap_or_default());
            }
        }
        Ok(Placing {
            relations: if template.package.has(&relations) {
                template.package.text(&relations)?
            } else {
                String::new()
            },
            ids: if template.package.has(part) { template.package.relations(part)? } else { Vec::new() },
            base: template.relations_base.clone(),
            part: part.to_owned(),
            text: text.to_owned(),
            files: BTreeMap::new(),
            anchors: String::new(),
            shape,
        })
    }

    fn place(&mut self, file: &str, anchor: &Anchor) {
        let id = match self.files.get(file) {
            Some(id) => id.clone(),
            None => {
                let id = next_id(&self.ids);
                let (kind, base) = ("image".to_owned(), self.base.clone());
                self.ids.push(Relation { id: id.clone(), kind, base, part: Some(file.to_owned()) });
                self.files.insert(file.to_owned(), id.clone());
                id
            }
        };
        self.shape = self.shape.saturating_add(1);
        let Anchor { row, column, row_offset, column_offset, width, height } = anchor;
        let (shape, base) = (self.shape, &self.base);
        let written = write!(
            self.anchors,
            "<xdr:oneCellAnchor xmlns:xdr=\"{DRAWING_NAMESPACE}\" xmlns:a=\"{MAIN_NAMESPACE}\" xmlns:r=\"{base}\">\
             <xdr:from><xdr:col>{column}</xdr:col><xdr:colOff>{column_offset}</xdr:colOff><xdr:row>{row}</xdr:row>\
             <xdr:rowOff>{row_offset}</xdr:rowOff></xdr:from><xdr:ext cx=\"{width}\" cy=\"{height}\"/><xdr:pic>\
             <xdr:nvPicPr><xdr:cNvPr id=\"{shape}\" name=\"Photo {shape}\"/><xdr:cNvPicPr>\
             <a:picLocks noChangeAspect=\"1\"/></xdr:cNvPicPr></xdr:nvPicPr><xdr:blipFill><a:blip r:embed=\"{}\"/>\
             <a:stretch><a:fillRect/></a:stretch></xdr:blipFill><xdr:spPr><a:xfrm><a:off x=\"0\" y=\"0\"/>\
             <a:ext cx=\"{width}\" cy=\"{height}\"/></a:xfrm><a:prstGeom prst=\"rect\"><a:avLst/></a:prstGeom>\
             </xdr:spPr></xdr:pic><xdr:clientData/></xdr:oneCellAnchor>",
            escape(&id)
        );
        debug_assert!(written.is_ok());
    }

    fn finish<W: Write>(self, archive: &mut ArchiveWriter<W>) -> Result<(), WorkbookError> {
        let text = appended(&self.text, "wsDr", &self.anchors);
        let added = self.ids.iter().filter(|relation| self.files.values().any(|id| *id == relation.id));
        let added: Vec<&Relation> = added.collect();
        let relations = match self.relations.as_str() {
            "" => relations_text(&added),
            text => {
                let elements: String = added.iter().map(|relation| relation_element(relation, text)).collect();
                appended(text, "Relationships", &elements)
            }
        };
        archive.deflate(&self.part, text.as_bytes())?;
        archive.deflate(&relations_part(&self.part), relations.as_bytes())
    }
}
