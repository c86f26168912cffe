//! Reads the XMP packet (ISO 16684-1) as a flat list of the properties that say when, where and how a photo was taken.
//!
//! The packet may come from anybody, so reading it is bounded: no document type and hence no entities, and no more
//! bytes, levels, attributes and values than a camera needs. Makers always use the same prefixes, so a prefix stands
//! for its namespace.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Maximum size of a packet. Drones write a few KB, and a JPEG segment holds at most 64 KB.
const BYTES_MAX: usize = 256 * 1024;
const DEPTH_MAX: usize = 16;
const ATTRIBUTES_MAX: usize = 4096;
const VALUE_BYTES_MAX: usize = 128;
/// Length in bytes at which names of elements are cut. Those that are kept are shorter.
const NAME_BYTES_MAX: usize = 128;
const PROPERTIES_MAX: usize = 512;
/// Beginnings of the names of the properties that are kept.
const PREFIXES: [&str; 11] = [
    "drone-dji:",
    "drone:",
    "drone-skydio:",
    "drone-parrot:",
    "Camera:",
    "exif:DateTime",
    "exif:GPS",
    "photoshop:DateCreated",
    "xmp:Creat",
    "xmp:ModifyDate",
    "xap:",
];
/// Prefixes of elements that only give structure.
const STRUCTURE: [&str; 2] = ["rdf:", "x:"];

/// Simple values by name, such as `drone-dji:GimbalYawDegree`. A field of a structure is named `structure/field`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(BTreeMap<String, String>);

/// Reason why a packet is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmpError {
    TooLarge,
    DocumentType,
    TooDeep,
    TooManyAttributes,
    Malformed,
}

impl Properties {
    /// Returns the text of a property.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a finite number, written as `+12.30` or as a fraction.
    pub fn number(&self, name: &str) -> Option<f64> {
        let text = self.text(name)?;
        let value = match text.split_once('/') {
            Some((numerator, denominator)) => numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?,
            None => text.parse().ok()?,
        };
        value.is_finite().then_some(value)
    }
}

/// Reads a packet.
pub fn parse(packet: &[u8]) -> Result<Properties, XmpError> {
    if packet.len() > BYTES_MAX {
        return Err(XmpError::TooLarge);
    }
    // A wrong encoding in an unrelated text must not cost the position.
    let text = String::from_utf8_lossy(packet);
    let mut reader = Reader::from_str(text.trim_end_matches('\0'));
    let mut walk = Walk::default();
    loop {
        match reader.read_event().map_err(|_| XmpError::Malformed)? {
            Event::Start(element) => walk.open(&element)?,
            Event::Empty(element) => {
                walk.open(&element)?;
                walk.close();
            }
            Event::End(_) => {
                walk.close();
                // Editors that shorten a packet in place leave the end of the longer one behind it.
                if walk.path.is_empty() {
                    return Ok(walk.found);
                }
            }
            Event::Text(text) => walk.add_text(&text),
            Event::CData(text) => walk.add_text(&text),
            // No value that is kept contains a reference.
            Event::GeneralRef(_) => walk.add_text("&"),
            Event::DocType(_) => return Err(XmpError::DocumentType),
            Event::Eof if walk.path.is_empty() => return Ok(walk.found),
            Event::Eof => return Err(XmpError::Malformed),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => (),
        }
    }
}

#[derive(Default)]
struct Walk {
    /// Names of the open elements, from the outside in.
    path: Vec<String>,
    /// Text of the innermost element, no longer than a value can be.
    text: String,
    attributes: usize,
    found: Properties,
}

impl Walk {
    fn open(&mut self, element: &BytesStart) -> Result<(), XmpError> {
        if self.path.len() == DEPTH_MAX {
            return Err(XmpError::TooDeep);
        }
        self.text.clear();
        let name = element.name().0;
        self.path.push(name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned());
        let structure = self.property().map(str::to_owned);
        // A search for repeated names would take quadratic time.
        for attribute in element.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| XmpError::Malformed)?;
            self.attributes += 1;
            if self.attributes > ATTRIBUTES_MAX {
                return Err(XmpError::TooManyAttributes);
            }
            self.keep(structure.as_deref(), attribute.key.0, &attribute.value);
        }
        Ok(())
    }

    fn close(&mut self) {
        let name = self.path.pop().unwrap_or_default();
        let text = std::mem::take(&mut self.text);
        let structure = self.property().map(str::to_owned);
        self.keep(structure.as_deref(), &name, &text);
    }

    fn add_text(&mut self, text: &str) {
        if self.text.len() <= VALUE_BYTES_MAX {
            self.text += text;
        }
    }

    /// Returns the innermost open element that is a property.
    fn property(&self) -> Option<&str> {
        let is_property = |name: &&String| !STRUCTURE.iter().any(|prefix| name.starts_with(prefix));
        self.path.iter().rev().find(is_property).map(String::as_str)
    }

    /// Keeps a value, unless the name already has one.
    fn keep(&mut self, structure: Option<&str>, name: &str, value: &str) {
        let value = value.trim();
        let wanted = name.len() < NAME_BYTES_MAX && PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let usable = !value.is_empty() && value.len() <= VALUE_BYTES_MAX && !value.contains('&');
        if wanted && usable && self.found.0.len() < PROPERTIES_MAX {
            let name = structure.map_or_else(|| name.to_owned(), |structure| format!("{structure}/{name}"));
            self.found.0.entry(name).or_insert_with(|| value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(content: &str) -> String {
        format!(
            "<?xpacket begin=\"\u{feff}\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF>{content}</rdf:RDF>\
             </x:xmpmeta><?xpacket end=\"w\"?>\0\0"
        )
    }

    fn read(content: &str) -> Properties {
        parse(packet(content).as_bytes()).expect(content)
    }

    #[test]
    fn values_are_attributes_or_elements() {
        let properties = read(
            r#"<rdf:Description rdf:about="DJI Meta Data" drone-dji:AbsoluteAltitude="+12.30" tiff:Make="DJI">
                 <drone-dji:RtkFlag>50</drone-dji:RtkFlag>
                 <drone-dji:RtkFlag>16</drone-dji:RtkFlag>
                 <drone-dji:GimbalYawDegree> -170.50 </drone-dji:GimbalYawDegree>
                 <Camera:AboveGroundAltitude>4971569/65536</Camera:AboveGroundAltitude>
               </rdf:Description>"#,
        );
        assert_eq!(properties.number("drone-dji:AbsoluteAltitude"), Some(12.3));
        assert_eq!(properties.text("drone-dji:RtkFlag"), Some("50"));
        assert_eq!(properties.number("drone-dji:GimbalYawDegree"), Some(-170.5));
        assert_eq!(properties.number("Camera:AboveGroundAltitude"), Some(4971569.0 / 65536.0));
        assert_eq!(properties.0.len(), 4);
    }

    #[test]
    fn structures_come_in_three_forms() {
        let forms = [
            r#"<drone-skydio:Ned drone-skydio:Yaw="7"/>"#,
            r#"<drone-skydio:Ned rdf:parseType="Resource"><drone-skydio:Yaw>7</drone-skydio:Yaw></drone-skydio:Ned>"#,
            r#"<drone-skydio:Ned><rdf:Description drone-skydio:Yaw="7"/></drone-skydio:Ned>"#,
        ];
        for form in forms {
            let properties = read(&format!("<rdf:Description>{form}</rdf:Description>"));
            assert_eq!(properties.number("drone-skydio:Ned/drone-skydio:Yaw"), Some(7.0), "{form}");
            assert_eq!(properties.number("drone-skydio:Yaw"), None);
        }
    }

    #[test]
    fn no_number_is_made_up() {
        for value in ["", "NaN", "inf", "1/0", "0/0", "twelve", "1,5", "&#49;2", "&x;", &"1".repeat(129)] {
            let properties =
                read(&format!("<rdf:Description drone:A=\"{value}\"><drone:B>{value}</drone:B></rdf:Description>"));
            assert_eq!((properties.number("drone:A"), properties.number("drone:B")), (None, None), "{value}");
        }
    }

    #[test]
    fn hostile_packets_are_refused() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><x:xmpmeta>&b;</x:xmpmeta>";
        let deep = "<a>".repeat(20);
        let attributes = format!("<a {}/>", "b=\"\" ".repeat(5000));
        let cases = [
            (bomb.to_owned(), XmpError::DocumentType),
            (deep, XmpError::TooDeep),
            (attributes, XmpError::TooManyAttributes),
            (" ".repeat(BYTES_MAX + 1), XmpError::TooLarge),
            ("<x:xmpmeta><rdf:RDF>".to_owned(), XmpError::Malformed),
            ("<x:xmpmeta></rdf:RDF>".to_owned(), XmpError::Malformed),
            ("<a b=c/>".to_owned(), XmpError::Malformed),
        ];
        for (packet, expected) in cases {
            assert_eq!(parse(packet.as_bytes()), Err(expected), "{}", &packet[..packet.len().min(60)]);
        }
        assert_eq!(parse(b"not XML at all"), Ok(Properties::default()));
    }

    #[test]
    fn long_names_are_not_repeated() {
        let (long, number) = ("é".repeat(20_000), |index: usize| format!("exif:GPS{index}='1' "));
        let attributes: String = (0..1000).map(number).collect();
        let properties =
            read(&format!("<{long} {attributes}/><{long}>{}</{long}>", "<drone:A>7</drone:A>".repeat(300)));
        assert_eq!(properties.0.len(), PROPERTIES_MAX);
        let bytes: usize = properties.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= PROPERTIES_MAX * (2 * NAME_BYTES_MAX + VALUE_BYTES_MAX), "{bytes}");
        assert_eq!(read(&format!("<a drone:{}='1'/>", "x".repeat(NAME_BYTES_MAX))), Properties::default());
    }

    #[test]
    fn what_follows_the_packet_does_not_count() {
        let whole = packet("<rdf:Description drone-dji:RtkFlag=\"50\"/>");
        let rest = "</rdf:Description></rdf:RDF></x:xmpmeta><x:xmpmeta><rdf:RDF drone:A=\"1\"";
        let properties = parse(format!("{whole}{rest}").as_bytes()).expect("parses");
        assert_eq!((properties.text("drone-dji:RtkFlag"), properties.0.len()), (Some("50"), 1));
    }

    #[test]
    fn foreign_bytes_cost_nothing_else() {
        let mut bytes = packet("<rdf:Description dc:title=\"X\" drone-dji:RtkFlag=\"50\"/>").into_bytes();
        let at = bytes.iter().position(|byte| *byte == b'X').expect("a title");
        bytes[at] = 0xE9;
        assert_eq!(parse(&bytes).expect("parses").text("drone-dji:RtkFlag"), Some("50"));
    }
}
