use bridgeclip_random::Random;

use super::*;
use crate::{OpenPhoto, decode, orientation, read_metadata};

/// Returns a HEIC file, and what libheif 1.23.6 makes of it.
macro_rules! pair {
    ($name:literal) => {{
        let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/heif/", $name, ".png");
        let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/photo/", $name, ".heic"));
        ($name, bytes.as_slice(), std::fs::read(oracle).expect($name))
    }};
}

/// A file that a test puts together: its items, their properties, and what refers to what.
#[derive(Default)]
struct File<'a> {
    items: Vec<Item<'a>>,
    references: Vec<(&'a [u8; 4], u16, Vec<u16>)>,
}

/// An item, whose identifier is its place counted from 1. The first one is the primary item.
struct Item<'a> {
    kind: &'a [u8; 4],
    data: Vec<Vec<u8>>,
    properties: Vec<Atom<'a>>,
}

impl File<'_> {
    fn bytes(&self) -> Vec<u8> {
        self.bytes_at(self.bytes_at(0).len() - self.data().len())
    }

    fn data(&self) -> Vec<u8> {
        self.items.iter().flat_map(|item| item.data.concat()).collect()
    }

    /// Returns the file, with data that begin at `start` if the tables are right.
    fn bytes_at(&self, start: usize) -> Vec<u8> {
        let (mut infos, mut locations, mut properties, mut associations) = (vec![], vec![], vec![], vec![]);
        let (mut at, mut known) = (start as u32, Vec::new());
        for (id, item) in (1_u16..).zip(&self.items) {
            infos.extend(atom(b"infe", &[&[2, 0, 0, 0], &id.to_be_bytes()[..], &[0, 0], item.kind, &[0]].concat()));
            locations.extend([id.to_be_bytes(), [0, 0], [0, 0], (item.data.len() as u16).to_be_bytes()].concat());
            for part in &item.data {
                locations.extend([at.to_be_bytes(), (part.len() as u32).to_be_bytes()].concat());
                at += part.len() as u32;
            }
            associations.extend([&id.to_be_bytes()[..], &[item.properties.len() as u8]].concat());
            for property in &item.properties {
                let number = known.iter().position(|other| other == property).unwrap_or_else(|| {
                    properties.extend(atom(&property.kind, property.body));
                    known.push(*property);
                    known.len() - 1
                });
                associations.push(number as u8 + 1);
            }
        }
        let count = self.items.len() as u16;
        let references = self.references.iter().flat_map(|(kind, from, to)| {
            let to: Vec<u8> = to.iter().flat_map(|id| id.to_be_bytes()).collect();
            atom(kind, &[&from.to_be_bytes()[..], &(to.len() as u16 / 2).to_be_bytes(), &to].concat())
        });
        let tables = [
            vec![0; 4],
            atom(b"pitm", &[0, 0, 0, 0, 0, 1]),
            atom(b"iinf", &[&[0; 4], &count.to_be_bytes()[..], &infos].concat()),
            atom(b"iloc", &[&[1, 0, 0, 0, 0x44, 0], &count.to_be_bytes()[..], &locations].concat()),
            atom(b"iref", &[&[0; 4], &references.collect::<Vec<u8>>()[..]].concat()),
            atom(
                b"iprp",
                &[
                    atom(b"ipco", &properties),
                    atom(b"ipma", &[&[0; 4], &u32::from(count).to_be_bytes()[..], &associations].concat()),
                ]
                .concat(),
            ),
        ];
        [atom(b"ftyp", b"heic\0\0\0\0mif1heic"), atom(b"meta", &tables.concat()), atom(b"mdat", &self.data())].concat()
    }
}

fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn property<'a>(kind: &[u8; 4], body: &'a [u8]) -> Atom<'a> {
    Atom { kind: *kind, body }
}

/// Returns the configuration and the data of the first coded picture in a file.
fn picture(file: &[u8]) -> (&[u8], Vec<u8>) {
    let items = Items::new(file, Atoms::new(file).find(b"meta").expect("tables")).expect("items");
    let is_coded = |item: &u32| items.kind(*item).is_some_and(|kind| &kind.kind == b"hvc1");
    let item = (1..100).find(is_coded).expect("a coded picture");
    (configuration(&items, item).expect("a configuration"), items.data(item).expect("data").into_owned())
}

fn coded() -> Item<'static> {
    let (config, data) = picture(seed!("420.heic"));
    Item { kind: b"hvc1", data: vec![data], properties: vec![property(b"hvcC", config), property(b"colr", NCLX)] }
}

/// BT.601 with the full range, as the seeds have it.
const NCLX: &[u8] = b"nclx\0\x01\0\x0d\0\x06\x80";

fn grid(rows: u8, columns: u8, width: u16, height: u16, properties: Vec<Atom>) -> Item {
    let data = [&[0, 0, rows - 1, columns - 1], &width.to_be_bytes()[..], &height.to_be_bytes()].concat();
    Item { kind: b"grid", data: vec![data], properties }
}

fn decoded(bytes: &[u8]) -> Raster {
    decode(bytes, &Limits::default()).expect("decodes")
}

fn refused(bytes: &[u8]) -> String {
    decode(bytes, &Limits::default()).expect_err("refused").to_string()
}

/// Returns the pixel of a picture at a column and row.
fn pixel(raster: &Raster, x: u32, y: u32) -> &[u8] {
    &raster.rgb[3 * (y * raster.width + x) as usize..][..3]
}

#[test]
fn every_picture_is_that_of_libheif() {
    let pairs = [
        pair!("420"),
        pair!("422"),
        pair!("444"),
        pair!("10bit"),
        pair!("grey"),
        pair!("limited"),
        pair!("lossless"),
        pair!("odd"),
        pair!("exif"),
        pair!("phone"),
    ];
    for (name, bytes, oracle) in pairs {
        let (ours, theirs) = (decoded(bytes), decoded(&oracle));
        assert_eq!(ours.pixels, theirs.pixels, "{name}");
        let apart = ours.rgb.iter().zip(&theirs.rgb).filter(|(one, other)| one.abs_diff(**other) > 1).count();
        assert!(1000 * apart <= ours.rgb.len(), "{name}: {apart} of {} samples differ", ours.rgb.len());
        let spread = ours.rgb.iter().max().zip(ours.rgb.iter().min()).map(|(most, least)| most - least);
        assert!(spread > Some(100), "{name} shows nothing");
    }
}

#[test]
fn metadata_are_found_and_do_not_turn_the_photo() {
    let bytes = seed!("exif.heic");
    let metadata = read_metadata(bytes);
    let camera = metadata.camera;
    assert_eq!((camera.make.as_deref(), camera.model.as_deref()), (Some("Apple"), Some("iPhone 13")));
    // The EXIF block has orientation 6, and the file has no property that turns the photo.
    assert_eq!((metadata.orientation, orientation(bytes)), (crate::Orientation::UPRIGHT, crate::Orientation::UPRIGHT));
    assert_eq!(decoded(bytes).pixels, [97, 63]);
    let found = blocks(bytes);
    assert!(found.exif.is_some_and(|block| block.starts_with(b"MM\0*")), "{:?}", found.exif);
    assert!(found.xmp.is_some_and(|packet| packet.windows(4).any(|part| part == b"17.4")));
}

#[test]
fn a_block_of_exif_is_found_with_and_without_its_prefix() {
    for data in [
        b"\0\0\0\x06Exif\0\0II*\0rest".as_slice(),
        b"\0\0\0\0II*\0rest",
        b"Exif\0\0II*\0rest",
        b"\0\0\0\0Exif\0\0II*\0rest",
    ] {
        assert_eq!(exif(data), Some(b"II*\0rest".as_slice()), "{data:?}");
    }
    for data in [b"".as_slice(), b"\0\0\0\x09II*\0", b"\xff\xff\xff\xff", b"\0\0\0\0none", b"\0\0\0\0Exif\0\0"] {
        assert_eq!(exif(data), None, "{data:?}");
    }
}

#[test]
fn the_block_of_another_picture_is_not_that_of_the_photo() {
    let block = |make: &[u8]| Item { kind: b"Exif", data: vec![[b"\0\0\0\0II*\0", make].concat()], properties: vec![] };
    let items = vec![coded(), block(b"of the thumbnail"), block(b"of the photo")];
    let mut file = File { items, references: vec![(b"cdsc", 2, vec![9]), (b"cdsc", 3, vec![1])] };
    assert_eq!(blocks(&file.bytes()).exif, Some(b"II*\0of the photo".as_slice()));
    file.references.pop();
    assert_eq!(blocks(&file.bytes()).exif, Some(b"II*\0of the photo".as_slice()));
    file.references.push((b"cdsc", 3, vec![9]));
    assert_eq!(blocks(&file.bytes()), Blocks::default());
}

#[test]
fn a_grid_lies_row_by_row_and_ends_where_the_photo_does() {
    let tile = decoded(seed!("420.heic"));
    let mut other = coded();
    let (config, data) = picture(seed!("444.heic"));
    other.properties[0] = property(b"hvcC", config);
    other.data = vec![data];
    let items = vec![grid(2, 3, 150, 100, vec![property(b"colr", NCLX)]), coded()];
    let mut file = File { items, references: vec![(b"dimg", 1, vec![2; 6])] };
    let photo = decoded(&file.bytes());
    assert_eq!(photo.pixels, [150, 100]);
    for (x, y) in [(0, 0), (63, 63), (64, 63), (149, 99), (128, 0), (0, 64)] {
        assert_eq!(pixel(&photo, x, y), pixel(&tile, x % 64, y % 64), "{x}, {y}");
    }
    // A picture of the grid of another kind than the others.
    file.items.push(other);
    file.references[0].2[5] = 3;
    assert!(refused(&file.bytes()).contains("its pictures differ"));
}

#[test]
fn crop_turn_and_mirror_apply_in_their_order() {
    let whole = decoded(seed!("420.heic"));
    let aperture: Vec<u8> = [40_i32, 1, 20, 1, -8, 1, 4, 1].iter().flat_map(|number| number.to_be_bytes()).collect();
    let mut item = coded();
    item.properties.extend([property(b"clap", &aperture), property(b"irot", &[1]), property(b"imir", &[1])]);
    let photo = decoded(&File { items: vec![item], references: vec![] }.bytes());
    // Columns 4 to 43 and rows 26 to 45 are seen, turned to the left, then mirrored across.
    assert_eq!(photo.pixels, [20, 40]);
    for (x, y) in [(0, 0), (19, 0), (0, 39), (7, 11)] {
        assert_eq!(pixel(&photo, x, y), pixel(&whole, 43 - y, 45 - x), "{x}, {y}");
    }
    let mut hidden = coded();
    hidden.properties.push(property(b"clap", &[0; 32]));
    assert!(refused(&File { items: vec![hidden], references: vec![] }.bytes()).contains("its crop leaves nothing"));
}

#[test]
fn a_derived_item_shows_its_source() {
    let turned = || property(b"irot", &[1]);
    let mut source = coded();
    source.properties.push(turned());
    let shown = Item { kind: b"iden", data: vec![], properties: vec![turned()] };
    let file = File { items: vec![shown, source], references: vec![(b"dimg", 1, vec![2])] };
    let (photo, whole) = (decoded(&file.bytes()), decoded(seed!("420.heic")));
    assert_eq!(pixel(&photo, 3, 5), pixel(&whole, 60, 58));
    let around = File { references: vec![(b"dimg", 1, vec![1])], ..file };
    assert!(refused(&around.bytes()).contains("derived too often"));
}

#[test]
fn the_matrix_and_the_range_of_the_file_come_before_those_of_the_picture() {
    let mut item = coded();
    let seen = |item: Item| decoded(&File { items: vec![item], references: vec![] }.bytes());
    let full = seen(coded());
    item.properties[1] = property(b"colr", b"nclx\0\x01\0\x0d\0\x06\0");
    let limited = seen(item);
    for (one, other) in full.rgb.iter().zip(&limited.rgb).filter(|(one, _)| (100..160).contains(*one)).take(300) {
        // (y - 16) * 255 / 219 for a grey; colours move a little more.
        let expected = (f64::from(*one) - 128.0) * 1.164 + 130.4;
        assert!((expected - f64::from(*other)).abs() < 16.0, "{one} becomes {other}");
    }
    assert_ne!(full, limited);
    let mut item = coded();
    item.properties[1] = property(b"colr", b"nclx\0\x01\0\x0d\0\x0e\x80");
    assert!(refused(&File { items: vec![item], references: vec![] }.bytes()).contains("unusual colours"));
}

#[test]
fn data_may_lie_in_parts() {
    let mut item = coded();
    let whole = item.data[0].clone();
    item.data = whole.chunks(100).map(<[u8]>::to_vec).collect();
    assert!(item.data.len() > 3);
    assert_eq!(decoded(&File { items: vec![item], references: vec![] }.bytes()), decoded(seed!("420.heic")));
    let mut scattered = coded();
    scattered.data = whole.chunks(1).map(<[u8]>::to_vec).collect();
    assert!(refused(&File { items: vec![scattered], references: vec![] }.bytes()).contains("table of data is broken"));
}

#[test]
fn what_is_not_a_picture_of_hevc_is_named() {
    for (kind, expected) in [
        (b"av01", "AVIF is not supported"),
        (b"iovl", "overlays several pictures"),
        (b"jpeg", "not coded with HEVC"),
        (b"????", "unusual structure"),
    ] {
        let item = Item { kind, ..coded() };
        let message = refused(&File { items: vec![item], references: vec![] }.bytes());
        assert!(message.contains(expected), "{message}");
    }
    let sequence = [atom(b"ftyp", b"msf1\0\0\0\0hevc"), atom(b"moov", b"tracks")].concat();
    assert!(refused(&sequence).contains("a HEIF sequence"));
}

#[test]
fn broken_tables_are_refused() {
    let file = |items, references| File { items, references }.bytes();
    let dimg = |to: Vec<u16>| vec![(b"dimg", 1, to)];
    let no_config = Item { properties: vec![], ..coded() };
    let cases = [
        (file(vec![], vec![]), "primary item is missing"),
        (file(vec![grid(1, 2, 128, 64, vec![]), coded()], dimg(vec![2])), "another number of pictures"),
        (file(vec![grid(1, 1, 65, 64, vec![]), coded()], dimg(vec![2])), "does not fit"),
        (file(vec![grid(1, 2, 64, 64, vec![]), coded()], dimg(vec![2; 2])), "does not fit"),
        (file(vec![grid(1, 1, 64, 64, vec![]), coded()], dimg(vec![9])), "is missing"),
        (file(vec![grid(1, 1, 64, 64, vec![])], vec![]), "it has no picture"),
        (file(vec![grid(1, 1, 64, 64, vec![])], dimg(vec![1])), "unusual structure"),
        (file(vec![no_config], vec![]), "no decoder configuration"),
        (file(vec![grid(1, 1, 0, 64, vec![]), coded()], dimg(vec![2])), "does not fit"),
    ];
    for (bytes, expected) in cases {
        let message = refused(&bytes);
        assert!(message.contains(expected), "{message} instead of {expected}");
    }
}

#[test]
fn a_table_with_very_many_entries_takes_no_time() {
    let mut items: Vec<Item> = (0..5000).map(|_| Item { kind: b"hvc1", data: vec![], properties: vec![] }).collect();
    items[0] = grid(64, 64, 4096, 4096, vec![]);
    let references = vec![(b"dimg", 1, (2..4098).collect())];
    let begin = std::time::Instant::now();
    assert!(refused(&File { items, references }.bytes()).contains("no decoder configuration"));
    let mut tiles = vec![grid(63, 64, 4096, 4032, vec![])];
    tiles.extend((0..4031).map(|_| coded()));
    tiles.push(Item { kind: b"hvc1", data: vec![vec![0; 9]], properties: coded().properties });
    let references = vec![(b"dimg", 1, (2..4034).collect())];
    assert!(refused(&File { items: tiles, references }.bytes()).contains("cannot decode the HEIC"));
    assert!(begin.elapsed().as_secs() < 30, "{:?}", begin.elapsed());
}

#[test]
fn a_file_that_ends_too_early_may_still_be_growing() {
    for whole in [seed!("420.heic"), seed!("phone.heic"), seed!("exif.heic")] {
        decoded(whole);
        for length in 16..whole.len() {
            let error = decode(&whole[..length], &Limits::default()).expect_err("refused");
            assert!(error.may_be_incomplete(), "{length} of {} bytes: {error}", whole.len());
        }
        // What some phones write after the last box.
        assert_eq!(decoded(&[whole, b"\0\0\x7f\xffSEFT"].concat()), decoded(whole));
    }
}

#[test]
fn a_picture_that_needs_too_much_is_refused_before_it_is_decoded() {
    let bytes = seed!("phone.heic");
    let needed = OpenPhoto::new(bytes, &Limits::default()).expect("opens").memory(false);
    let within = |memory_bytes_max| decode(bytes, &Limits { memory_bytes_max, ..Limits::default() });
    assert_eq!(within(needed).expect("decodes").pixels, [100, 150]);
    assert_eq!(within(needed - 1), Err(PhotoError::TooMuchMemory { needed, limit: needed - 1 }));
    let few = Limits { pixels_max: 14_999, ..Limits::default() };
    assert_eq!(decode(bytes, &few), Err(PhotoError::TooManyPixels { width: 150, height: 100, limit: 14_999 }));
    let fewer = Limits { pixels_max: 4095, ..Limits::default() };
    assert_eq!(decode(bytes, &fewer), Err(PhotoError::TooManyPixels { width: 64, height: 64, limit: 4095 }));
}

#[test]
fn coded_pixels_that_are_cropped_away_count() {
    let (config, data) = picture(seed!("odd.heic"));
    let shape = Config::new(config, 1 << 20).and_then(|config| config.shape()).expect("a shape");
    let ([width, height], coded) = (shape.size, shape.coded_size());
    assert!(shape.coded() > u64::from(width * height), "{shape:?}");
    let item = Item { kind: b"hvc1", data: vec![data], properties: vec![property(b"hvcC", config)] };
    let items = vec![grid(3, 5, 5 * width as u16, 3 * height as u16, vec![property(b"colr", NCLX)]), item];
    let bytes = File { items, references: vec![(b"dimg", 1, vec![2; 15])] }.bytes();
    let within = |pixels_max| decode(&bytes, &Limits { pixels_max, ..Limits::default() });
    assert_eq!(within(15 * shape.coded()).expect("decodes").pixels, [5 * width, 3 * height]);
    let limit = 15 * shape.coded() - 1;
    let expected = PhotoError::TooManyPixels { width: 5 * coded[0], height: 3 * coded[1], limit };
    assert_eq!(within(limit), Err(expected));
}

#[test]
fn pictures_of_a_grid_may_not_all_be_most_of_the_file() {
    let mut item = coded();
    // Supplemental information of two bytes, which says nothing.
    item.data[0].extend(b"\0\0\0\x02\x4e\x01".repeat(10_000));
    let photo = |rows: u8, columns: u8, item: Item| {
        let size = [columns, rows].map(|count| 64 * u16::from(count));
        let items = vec![grid(rows, columns, size[0], size[1], vec![property(b"colr", NCLX)]), item];
        let count = usize::from(rows) * usize::from(columns);
        decode(&File { items, references: vec![(b"dimg", 1, vec![2; count])] }.bytes(), &Limits::default())
    };
    let message = photo(64, 64, Item { data: item.data.clone(), ..coded() }).expect_err("refused").to_string();
    assert!(message.contains("longer than their pixels"), "{message}");
    assert_eq!(photo(1, 2, item).expect("decodes").pixels, [128, 64]);
}

#[test]
fn a_photo_that_is_too_large_for_the_memory_is_shrunk() {
    let items = vec![grid(30, 40, 2500, 1900, vec![property(b"colr", NCLX), property(b"irot", &[1])]), coded()];
    let bytes = File { items, references: vec![(b"dimg", 1, vec![2; 1200])] }.bytes();
    let within =
        |memory_bytes_max, decoding| decode(&bytes, &Limits { memory_bytes_max, decoding, ..Limits::default() });
    let whole = within(400_000_000, Decoding::default()).expect("decodes");
    assert_eq!((whole.pixels, whole.eighths), ([1900, 2500], 8));
    let half = within(20_000_000, Decoding::default()).expect("decodes");
    assert_eq!((half.pixels, half.eighths, half.width, half.height), ([1900, 2500], 4, 950, 1250));
    let (one, other) = (whole.shrunk(0.25), half.shrunk(0.25));
    let apart: u64 = one.rgb.iter().zip(&other.rgb).map(|(one, other)| u64::from(one.abs_diff(*other))).sum();
    assert!(apart < 2 * one.rgb.len() as u64, "{apart} for {} samples", one.rgb.len());
    let refusals = [within(20_000_000, Decoding::Exact), within(20_000_000, Decoding::Scaled { short_side_min: 951 })];
    for refusal in refusals {
        assert!(matches!(refusal, Err(PhotoError::TooMuchMemory { .. })), "{refusal:?}");
    }
}

#[test]
fn a_slice_that_repeats_or_goes_back_is_not_decoded_again() {
    let (config, data) = picture(seed!("420.heic"));
    let config = Config::new(config, 1 << 20).expect("a configuration");
    let frame = config.decode(&data).expect("decodes");
    // A second picture follows, as in a sequence.
    assert_eq!(config.decode(&[&data[..], &data].concat()), Ok(frame));
    // The first bit of a slice says that a picture begins.
    let mut later = data.clone();
    let start = later.windows(2).position(|unit| unit[0] >> 1 & 0x3F < 32 && unit[1] == 1).expect("a slice") + 2;
    later[start] &= 0x7F;
    for bytes in [[&data[..], &later].concat(), later] {
        assert!(matches!(config.decode(&bytes), Err(Fault::Undecodable(_)) | Ok(_)));
    }
}

#[test]
fn damage_gives_an_error_or_a_picture_of_the_same_size() {
    let mut random = Random::new(&[7]);
    for whole in [seed!("420.heic"), seed!("phone.heic"), seed!("10bit.heic"), seed!("422.heic"), seed!("odd.heic")] {
        for _ in 0..500 {
            let mut bytes = whole.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
            read_metadata(&bytes);
            if let Ok(raster) = decode(&bytes, &Limits { pixels_max: 1 << 20, ..Limits::default() }) {
                assert_eq!(raster.rgb.len(), 3 * (raster.width * raster.height) as usize);
            }
        }
    }
}
