//! One coded picture (ITU-T H.265): its parameter sets, the memory that decoding takes, and decoding.
//!
//! The only file that names the decoder. It drives the decoder slice by slice, which bounds what a file can cost: the
//! parameter sets are those of the item's `hvcC` property and were checked before, and every block is decoded once.

use heifer_hevc_dec::Error;
use heifer_hevc_dec::nal::{NalUnit, NalUnitType};
use heifer_hevc_dec::params::{ParameterSets, Sps};
use heifer_hevc_dec::recon::Reconstructor;
use heifer_hevc_dec::slice::SliceHeader;
use heifer_hevc_dec::syntax::{Picture, decode_slice_segment};

use crate::boxes::Fields;

pub use heifer_hevc_dec::recon::Frame;

/// Maximum number of slices in a picture (H.265, table A.8, level 6.2).
const SLICES_MAX: usize = 600;
/// Maximum number of bytes of the parameter sets; those of cameras have fewer than 200.
const SETS_BYTES_MAX: usize = 1 << 16;
/// Bytes per pixel that the decoder holds beside the samples: 17 for each block of 4 x 4 pixels, and 104 for each coding
/// tree block, which has 16 x 16 pixels or more.
const BESIDE_SIXTEENTHS: u64 = 17 + 7;

/// Reason why a picture gives no pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A structure of the file breaks its rules.
    Broken(&'static str),
    /// The decoder met something that it does not decode.
    Unsupported(&'static str),
    /// The picture has more pixels than the limit: width, height and limit.
    TooManyPixels([u32; 2], u64),
    /// The data are damaged or incomplete.
    Undecodable(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Unimplemented(what) => Fault::Unsupported(what),
            _ => Fault::Undecodable(error.to_string()),
        }
    }
}

/// Parameter sets of a picture, from its `hvcC` property (ISO/IEC 14496-15, section 8.3.3).
#[derive(Debug)]
pub struct Config {
    sets: ParameterSets,
    /// Bytes of the number before each unit of the data that gives its length.
    length_bytes: usize,
}

/// Size and kind of a picture, from its parameter sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Width and height before cropping, in pixels.
    coded: [u32; 2],
    /// Samples of both chroma planes for every four luma samples.
    chroma_quarters: u64,
}

impl Config {
    /// Reads an `hvcC` property. A picture of more than `pixels_max` pixels is refused before anything of its size is
    /// allocated.
    pub fn new(property: &[u8], pixels_max: u64) -> Result<Self, Fault> {
        let (length_bytes, units) = units(property).ok_or(Fault::Broken("its decoder configuration is cut"))?;
        let mut sets = ParameterSets::default();
        for unit in &units {
            // Video parameter sets say nothing that a still picture needs.
            let kind = unit.header.unit_type;
            if unit.header.layer_id > 0 || !matches!(kind, NalUnitType::Sps | NalUnitType::Pps) {
                continue;
            }
            sets.add(unit)?;
            if let Some(size) = sets.sps.iter().flatten().map(coded_size).find(|size| area(*size) > pixels_max) {
                return Err(Fault::TooManyPixels(size, pixels_max));
            }
        }
        Ok(Config { sets, length_bytes })
    }

    /// Returns size and kind of the picture. All its sequence parameter sets must agree on them.
    pub fn shape(&self) -> Result<Shape, Fault> {
        if self.sets.sps.iter().flatten().any(|sps| sps.separate_colour_plane_flag) {
            return Err(Fault::Unsupported("separate colour planes"));
        }
        let mut shapes = self.sets.sps.iter().flatten().map(Shape::new);
        let shape = shapes.next().ok_or(Fault::Broken("it has no sequence parameter set"))?;
        if shapes.any(|other| other != shape) {
            return Err(Fault::Unsupported("several sizes in one picture"));
        }
        Ok(shape)
    }

    /// Decodes the picture.
    pub fn decode(&self, data: &[u8]) -> Result<Frame, Fault> {
        let mut open: Option<(Picture, Reconstructor)> = None;
        let mut previous: Option<SliceHeader> = None;
        for unit in self.slices(data)? {
            let slice = NalUnit::parse(unit)?;
            if open.is_some() && starts_picture(&slice) {
                break;
            }
            let header = SliceHeader::parse(&slice.rbsp, &slice.header, &self.sets, previous.as_ref())?;
            if previous.as_ref().is_some_and(|one| one.slice_pic_parameter_set_id != header.slice_pic_parameter_set_id)
            {
                return Err(Fault::Unsupported("a picture with several parameter sets"));
            }
            let (pps, sps) = self.sets.get(usize::from(header.slice_pic_parameter_set_id))?;
            let (picture, pixels) = open.get_or_insert_with(|| (Picture::new(sps, pps), Reconstructor::new(sps, pps)));
            // A slice that goes back would have its blocks decoded again.
            let address = picture.layout.rs_to_ts.get(header.slice_segment_address as usize);
            if address != Some(&picture.decoded_ctbs) {
                return Err(Fault::Undecodable("a slice is missing".to_owned()));
            }
            pixels.start_slice(&header);
            let coded = slice.rbsp.get(header.header_size..).unwrap_or_default();
            decode_slice_segment(picture, &header, header.slice_qp_y(&self.sets)?, coded, pixels)?;
            if let Some(error) = pixels.error.take() {
                return Err(error.into());
            }
            if !header.dependent_slice_segment_flag {
                previous = Some(header);
            }
        }
        let (picture, pixels) = open.ok_or_else(|| Fault::Undecodable("it has no picture".to_owned()))?;
        if !picture.is_complete() {
            return Err(Fault::Undecodable("the picture is not whole".to_owned()));
        }
        let frame = pixels.finish(false);
        Ok(if picture.sps.conf_win_offsets == [0; 4] { frame } else { frame.cropped(picture.sps) })
    }

    /// Returns the slices of the base layer in the data of an item.
    fn slices<'a>(&self, data: &'a [u8]) -> Result<Vec<&'a [u8]>, Fault> {
        let mut fields = Fields::new(data);
        let mut slices = Vec::new();
        while let Some(length) = fields.uint(self.length_bytes) {
            let unit = usize::try_from(length).ok().and_then(|length| fields.take(length));
            let unit = unit.ok_or_else(|| Fault::Undecodable("a unit of the data is cut".to_owned()))?;
            // The type is in the first byte, after one bit; the layer begins in its last bit.
            let [first, second, ..] = *unit else { continue };
            if first >> 1 & 0x3F < 32 && (first & 1) << 5 | second >> 3 == 0 {
                slices.push(unit);
            }
            if slices.len() > SLICES_MAX {
                return Err(Fault::Unsupported("a picture of more than 600 slices"));
            }
        }
        Ok(slices)
    }
}

impl Shape {
    fn new(sps: &Sps) -> Self {
        let (width, height) = sps.output_size();
        let chroma_quarters = match sps.chroma_format_idc {
            0 => 0,
            1 => 2,
            2 => 4,
            _ => 8,
        };
        Shape { size: [width, height], coded: coded_size(sps), chroma_quarters }
    }

    /// Returns width and height before cropping, in pixels.
    pub fn coded_size(self) -> [u32; 2] {
        self.coded
    }

    /// Returns width x height before cropping, in pixels.
    pub fn coded(self) -> u64 {
        area(self.coded)
    }

    /// Returns the peak memory of decoding in bytes, beside the data: samples of two bytes, and a second copy of them
    /// when the filters are done and the picture is cropped.
    pub fn memory(self) -> u64 {
        let coded = self.coded();
        2 * 2 * (coded + coded * self.chroma_quarters / 4) + coded * BESIDE_SIXTEENTHS / 16
    }
}

/// Returns width and height of a picture before cropping, in pixels.
fn coded_size(sps: &Sps) -> [u32; 2] {
    [sps.pic_width_in_luma_samples, sps.pic_height_in_luma_samples]
}

fn area([width, height]: [u32; 2]) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Reports whether a slice is the first one of a picture: its first bit says so.
fn starts_picture(slice: &NalUnit) -> bool {
    slice.rbsp.first().is_some_and(|byte| byte & 0x80 != 0)
}

/// Returns the bytes of a unit's length, and the parameter sets of an `hvcC` property.
fn units(property: &[u8]) -> Option<(usize, Vec<NalUnit<'_>>)> {
    let mut fields = Fields::new(&property[..property.len().min(SETS_BYTES_MAX)]);
    fields.take(21)?;
    let length_bytes = usize::from(fields.u8()? & 3) + 1;
    let mut units = Vec::new();
    for _ in 0..fields.u8()? {
        fields.u8()?;
        for _ in 0..fields.u16()? {
            let length = usize::from(fields.u16()?);
            units.extend(NalUnit::parse(fields.take(length)?));
        }
    }
    Some((length_bytes, units))
}
