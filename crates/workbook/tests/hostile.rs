//! Workbooks from anybody: 600 damaged ones are refused with a reason or read, in bounded time and without a panic.
//! `BRIDGECLIP_WORKBOOK_ROUNDS=20000` tries more, `BRIDGECLIP_WORKBOOK_SEED=17` others.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bridgeclip_random::Random;
use bridgeclip_workbook::{Facts, Limits, Record, Value, Vocabulary, Workbook, check, fill, read_back};

fn forms() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/forms");
    let files = fs::read_dir(folder).expect("deploy/forms").map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "xlsx")).collect();
    files.sort();
    assert_eq!(files.len(), 8);
    files
}

fn facts() -> Facts {
    let record = |number: u32| -> Record {
        ["number", "member", "memo", "picture", "name", "finding"]
            .map(|name| (name.to_owned(), Value::Text(format!("{name} {number}"))))
            .into()
    };
    let lists = ["photo", "member"].map(|name| (name.to_owned(), (1..=9).map(record).collect()));
    Facts { single: [("bridge.name".to_owned(), Value::Text("橋".to_owned()))].into(), lists: lists.into() }
}

/// Does everything with a workbook that the program does.
fn use_all(bytes: Vec<u8>) -> Result<(), String> {
    let text = |error: bridgeclip_workbook::WorkbookError| error.to_string();
    let (facts, limits) = (facts(), Limits { cells_max: 20_000, ..Limits::default() });
    let vocabulary = Vocabulary::of(&facts);
    let book = Workbook::open(bytes, &limits).map_err(text)?;
    for index in 0..book.sheets().len() {
        book.grid(index).map_err(text)?;
        book.pictures(index).map_err(text)?;
    }
    check(&book, &vocabulary).map_err(text)?;
    read_back(&book, &book).map_err(text)?;
    let (out, _) = fill(&book, &vocabulary, &facts, &mut |_| Ok(Vec::new()), Vec::new()).map_err(text)?;
    Workbook::open(out, &limits).map(drop).map_err(text)
}

/// Stored entries of an archive, so that damage reaches the XML.
fn stored(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        fields.extend(crc32fast::hash(content).to_le_bytes());
        fields.extend([content.len() as u32, content.len() as u32].iter().flat_map(|size| size.to_le_bytes()));
        fields.extend([name.len() as u16, 0].iter().flat_map(|size| size.to_le_bytes()));
        directory.extend([b'P', b'K', 1, 2, 20, 0]);
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend([b'P', b'K', 3, 4]);
        out.extend(&fields);
        out.extend(name.as_bytes());
        out.extend(content);
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend([b'P', b'K', 5, 6, 0, 0, 0, 0]);
    out.extend([entries.len() as u16; 2].iter().flat_map(|count| count.to_le_bytes()));
    out.extend([directory.len() as u32, start].iter().flat_map(|number| number.to_le_bytes()));
    out.extend([0, 0]);
    out
}

/// The parts of a shipped form, by their names.
fn parts(path: &Path) -> Vec<(String, Vec<u8>)> {
    const NAMES: [&str; 6] = [
        "[Content_Types].xml",
        "_rels/.rels",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/styles.xml",
        "xl/worksheets/sheet1.xml",
    ];
    let book = Workbook::open(fs::read(path).expect("read"), &Limits::default()).expect("a workbook");
    let mut parts: Vec<_> = NAMES.iter().map(|name| ((*name).to_owned(), book.part(name).expect("a part"))).collect();
    parts.extend(book.part("xl/sharedStrings.xml").ok().map(|text| ("xl/sharedStrings.xml".to_owned(), text)));
    parts
}

#[test]
fn six_hundred_damaged_workbooks_are_refused_or_read() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let rounds = number("BRIDGECLIP_WORKBOOK_ROUNDS", 600) as usize;
    let seed = number("BRIDGECLIP_WORKBOOK_SEED", 23);
    println!("BRIDGECLIP_WORKBOOK_SEED={seed}");
    let (forms, mut random, mut refused) = (forms(), Random::new(&[seed]), 0);
    let started = Instant::now();
    for round in 0..rounds {
        let form = &forms[round % forms.len()];
        let bytes = if round % 2 == 0 {
            damaged(fs::read(form).expect("read"), &mut random)
        } else {
            let mut parts = parts(form);
            let index = random.below(parts.len());
            let content = std::mem::take(&mut parts[index].1);
            parts[index].1 = damaged(content, &mut random);
            stored(&parts)
        };
        let one = Instant::now();
        refused += usize::from(use_all(bytes).is_err_and(|reason| !reason.is_empty()));
        assert!(one.elapsed() < Duration::from_secs(10), "round {round} took {:?}", one.elapsed());
    }
    println!("{refused} of {rounds} refused in {:?}", started.elapsed());
    assert!((rounds / 3..rounds).contains(&refused), "{refused} of {rounds} refused");
}

/// Changes, removes, doubles or cuts off some bytes.
fn damaged(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().max(2) - 1);
        let end = (at + 1 + random.below(40)).min(bytes.len());
        match random.below(5) {
            0 => bytes[at] = random.below(256) as u8,
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            3 => bytes[at] = b"0<>\"&/{}"[random.below(8)],
            _ if random.below(4) == 0 => bytes.truncate(end),
            _ => bytes[at] ^= 1 << random.below(8),
        }
        if bytes.len() < 2 {
            break;
        }
    }
    bytes
}

#[test]
fn what_is_no_workbook_is_refused_with_what_it_is() {
    let form = &forms()[0];
    let with = |part: &str, from: &str, to: &str| {
        let mut parts = parts(form);
        for (_, content) in parts.iter_mut().filter(|(name, _)| name == part) {
            *content = String::from_utf8(content.clone()).expect("UTF-8").replace(from, to).into_bytes();
        }
        stored(&parts)
    };
    let compound = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    let encrypted: Vec<u8> =
        compound.iter().copied().chain("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let entity = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><worksheet";
    let deep = format!("<sheetData>{}", "<row>".repeat(100));
    let cases = [
        (Vec::new(), "an empty file"),
        (b"name,date".to_vec(), "no zip archive"),
        (compound, "old .xls"),
        (encrypted, "password"),
        (
            stored(&[("mimetype".to_owned(), b"application/vnd.oasis.opendocument.spreadsheet".to_vec())]),
            "OpenDocument",
        ),
        (stored(&[("a.txt".to_owned(), Vec::new())]), "something else"),
        (stored(&[("../a".to_owned(), Vec::new())]), "not acceptable"),
        (stored(&[("a".to_owned(), Vec::new()), ("A".to_owned(), Vec::new())]), "twice"),
        (with("[Content_Types].xml", "spreadsheetml.sheet.main", "x.sheet.binary.macroEnabled.main"), ".xlsb"),
        (with("xl/worksheets/sheet1.xml", "<worksheet", entity), "document type"),
        (with("xl/worksheets/sheet1.xml", "<sheetData>", &deep), "64 elements"),
        (with("xl/workbook.xml", "r:id=\"rId1\"", "r:id=\"rId99\""), "leads nowhere"),
    ];
    for (bytes, reason) in cases {
        let error = use_all(bytes).expect_err(reason);
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn zip_bombs_are_refused_before_they_are_inflated() {
    let mut bomb = stored(&[("[Content_Types].xml".to_owned(), vec![b' '; 4])]);
    let content = miniz_oxide::deflate::compress_to_vec(&vec![b' '; 60 << 20], 6);
    let size = (60_u32 << 20).to_le_bytes();
    // One deflated entry whose headers tell the truth.
    bomb.clear();
    let mut fields = vec![20, 0, 0, 0, 8, 0, 0, 0, 0x21, 0, 0, 0, 0, 0];
    fields.extend((content.len() as u32).to_le_bytes());
    fields.extend(size);
    fields.extend([19, 0, 0, 0]);
    let (mut directory, name) = (vec![b'P', b'K', 1, 2, 20, 0], b"[Content_Types].xml");
    directory.extend(&fields);
    directory.extend([0; 14]);
    directory.extend(name);
    bomb.extend([b'P', b'K', 3, 4]);
    bomb.extend(&fields);
    bomb.extend(name);
    bomb.extend(&content);
    let start = bomb.len() as u32;
    bomb.extend(&directory);
    bomb.extend([b'P', b'K', 5, 6, 0, 0, 0, 0, 1, 0, 1, 0]);
    bomb.extend((directory.len() as u32).to_le_bytes());
    bomb.extend(start.to_le_bytes());
    bomb.extend([0, 0]);
    let started = Instant::now();
    let error = use_all(bomb).expect_err("a bomb");
    assert!(error.contains("compressed size"), "{error}");
    assert!(started.elapsed() < Duration::from_millis(100));
}
