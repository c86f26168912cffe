//! An opened workbook: its sheets, defined names, shared texts and styles.

use crate::area::Area;
use crate::error::WorkbookError;
use crate::limits::Limits;
use crate::package::{Package, other};
use crate::sheet::Sheet;
use crate::strings::{SharedStrings, cdata};
use crate::styles::Styles;
use crate::xml::{Kind, Token, Tokens, unescape};

/// Maximum number of defined names.
const NAMES_MAX: usize = 50_000;

/// A workbook that was opened and checked.
pub struct Workbook {
    pub(crate) package: Package,
    pub(crate) limits: Limits,
    /// Name of the workbook part.
    pub(crate) part: String,
    /// Type of relationships without its last piece.
    pub(crate) relations_base: String,
    pub(crate) text: String,
    pub(crate) sheets: Vec<SheetInfo>,
    pub(crate) names: Vec<DefinedName>,
    pub(crate) is_1904: bool,
    pub(crate) strings: SharedStrings,
    pub(crate) styles: Styles,
}

/// A sheet of a workbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetInfo {
    /// Name on the tab.
    pub name: String,
    /// Whether the tab is hidden.
    pub is_hidden: bool,
    /// Whether the sheet has cells; chart sheets and dialogs have none.
    pub has_cells: bool,
    /// Name of the part.
    pub(crate) part: String,
}

/// A defined name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinedName {
    pub name: String,
    /// Index of the sheet for which alone the name counts.
    pub sheet: Option<usize>,
    pub comment: String,
    pub is_hidden: bool,
    /// The formula, mostly a reference: `'Sheet 1'!$A$1:$D$9`.
    pub formula: String,
}

impl Workbook {
    /// Opens a workbook from its bytes. Nothing outside of them is opened, no formula is computed and no macro is run.
    ///
    /// # Errors
    /// If the bytes are no .xlsx or .xlsm workbook, are damaged, or exceed a bound; the error says which and what to
    /// do.
    pub fn open(bytes: Vec<u8>, limits: &Limits) -> Result<Self, WorkbookError> {
        if bytes.len() as u64 > limits.file_bytes_max {
            return Err(WorkbookError::TooLarge { what: "the file (bytes)".to_owned(), max: limits.file_bytes_max });
        }
        let package = Package::open(bytes, limits)?;
        let root = package.relations("")?.into_iter().find(|relation| relation.kind == "officeDocument");
        let (part, relations_base) = root
            .and_then(|relation| Some((relation.part?, relation.base)))
            .ok_or_else(|| other("a package without a workbook"))?;
        is_spreadsheet(package.content_type(&part))?;
        let text = package.text(&part)?;
        let mut workbook = Workbook {
            package,
            limits: limits.clone(),
            part,
            relations_base,
            text,
            sheets: Vec::new(),
            names: Vec::new(),
            is_1904: false,
            strings: SharedStrings::default(),
            styles: Styles::default(),
        };
        workbook.read_directory()?;
        workbook.read_shared()?;
        Ok(workbook)
    }

    /// Returns the sheets in the order of their tabs.
    pub fn sheets(&self) -> &[SheetInfo] {
        &self.sheets
    }

    /// Returns the defined names.
    pub fn names(&self) -> &[DefinedName] {
        &self.names
    }

    /// Returns the bytes of a part, such as a picture.
    ///
    /// # Errors
    /// If the part is missing or damaged.
    pub fn part(&self, name: &str) -> Result<Vec<u8>, WorkbookError> {
        self.package.bytes(name)
    }

    /// Reads the XML of a sheet.
    pub(crate) fn sheet(&self, index: usize) -> Result<Sheet, WorkbookError> {
        let info = &self.sheets[index];
        Sheet::parse(&info.part, self.package.text(&info.part)?, self.limits.cells_max)
    }

    /// Returns the indices of the sheets that have cells.
    pub(crate) fn with_cells(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.sheets.len()).filter(|index| self.sheets[*index].has_cells)
    }

    /// Returns the sheet and the area to which a defined name leads; `None` if it is no area of one sheet.
    pub(crate) fn target(&self, name: &DefinedName) -> Option<(usize, Area)> {
        let (sheet, area) = name.formula.rsplit_once('!')?;
        let sheet = sheet.strip_prefix('\'').and_then(|sheet| sheet.strip_suffix('\'')).unwrap_or(sheet);
        let sheet = sheet.replace("''", "'").to_lowercase();
        let index = self.sheets.iter().position(|info| info.name.to_lowercase() == sheet)?;
        Some((index, Area::parse(area)?))
    }

    fn read_directory(&mut self) -> Result<(), WorkbookError> {
        let relations = self.package.relations(&self.part)?;
        let (part, text) = (self.part.clone(), std::mem::take(&mut self.text));
        let mut name: Option<DefinedName> = None;
        for token in Tokens::new(&part, &text) {
            let token = token?;
            match (token.kind, token.name) {
                (Kind::Open | Kind::Empty, "workbookPr") => {
                    self.is_1904 = token.attribute("date1904").is_some_and(|value| is_true(&value));
                }
                (Kind::Open | Kind::Empty, "sheet") if token.depth == 2 => {
                    let id = token.attribute("id").unwrap_or_default();
                    let relation = relations.iter().find(|relation| relation.id == id);
                    self.add_sheet(&token, relation.map(|relation| (relation.kind.as_str(), relation.part.clone())))?;
                }
                (Kind::Open, "definedName") => name = Some(defined_name(&token)),
                (Kind::Close, "definedName") => self.names.extend(name.take()),
                (Kind::Text, _) => {
                    if let Some(name) = &mut name {
                        name.formula.push_str(&unescape(token.raw).unwrap_or_default());
                    }
                }
                (Kind::CData, _) => {
                    if let Some(name) = &mut name {
                        name.formula.push_str(cdata(token.raw));
                    }
                }
                _ => (),
            }
            if self.names.len() > NAMES_MAX {
                return Err(too_many("defined names", NAMES_MAX));
            }
        }
        self.text = text;
        Ok(())
    }

    fn add_sheet(&mut self, token: &Token<'_>, target: Option<(&str, Option<String>)>) -> Result<(), WorkbookError> {
        let name = token.attribute("name").unwrap_or_default().into_owned();
        let Some((kind, Some(part))) = target else {
            return Err(WorkbookError::part(&self.part, format!("the sheet \"{name}\" leads nowhere")));
        };
        if self.sheets.len() >= self.limits.sheets_max {
            return Err(too_many("sheets", self.limits.sheets_max));
        }
        let is_hidden = token.attribute("state").is_some_and(|state| state != "visible");
        self.sheets.push(SheetInfo { name, is_hidden, has_cells: kind == "worksheet", part });
        Ok(())
    }

    fn read_shared(&mut self) -> Result<(), WorkbookError> {
        for relation in self.package.relations(&self.part)? {
            let Some(part) = relation.part else { continue };
            match relation.kind.as_str() {
                "sharedStrings" => {
                    let text = self.package.text(&part)?;
                    self.strings = SharedStrings::parse(&part, text, self.limits.cells_max)?;
                }
                "styles" => self.styles = Styles::parse(&part, &self.package.text(&part)?)?,
                _ => (),
            }
        }
        Ok(())
    }
}

/// Whether an attribute's value means yes.
pub fn is_true(value: &str) -> bool {
    matches!(value, "1" | "true" | "on")
}

fn too_many(what: &str, max: usize) -> WorkbookError {
    WorkbookError::TooLarge { what: format!("the number of {what}"), max: max as u64 }
}

fn defined_name(token: &Token<'_>) -> DefinedName {
    DefinedName {
        name: token.attribute("name").unwrap_or_default().into_owned(),
        sheet: token.attribute("localSheetId").and_then(|index| index.parse().ok()),
        comment: token.attribute("comment").unwrap_or_default().into_owned(),
        is_hidden: token.attribute("hidden").is_some_and(|value| is_true(&value)),
        formula: String::new(),
    }
}

/// Refuses packages of other programs and forms.
fn is_spreadsheet(kind: &str) -> Result<(), WorkbookError> {
    let kind = kind.to_lowercase();
    if kind.contains("sheet.binary") {
        return Err(other("a binary .xlsb workbook; save it as .xlsx in Excel"));
    }
    let is_workbook = kind.contains("spreadsheetml") || kind.contains("ms-excel");
    match is_workbook && kind.ends_with("main+xml") {
        true => Ok(()),
        false if kind.contains("wordprocessingml") => Err(other("a Word document")),
        false if kind.contains("presentationml") => Err(other("a PowerPoint presentation")),
        false => Err(other("a package of another kind")),
    }
}
