"""Makes workbooks of real kinds, fills them, and compares what is not marked."""

import argparse
import datetime
import io
import json
import pathlib
import subprocess
import tempfile
import time
import zipfile

import openpyxl
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.drawing.image import Image as SheetImage
from openpyxl.formatting.rule import CellIsRule, FormulaRule
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.pagebreak import Break
from openpyxl.worksheet.table import Table
from PIL import Image

BOX = Border(*[Side(style="thin")] * 4)
PHOTOS = 7


def book():
    """A workbook with a marked sheet: heading, a frame two across and one down, a total below."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "写真 台帳"
    sheet["A1"] = "橋名：{{bridge.name}}（{{inspection.date}}）"
    sheet["D1"] = "{{inspection.date}}"
    sheet["D1"].number_format = "yyyy/mm/dd"
    for column in (1, 3):
        first = column == 1
        letter, next_letter = "ABCD"[column - 1], "ABCD"[column]
        sheet[f"{letter}3"] = "{{#photo across=2}}No. {{photo.number}}" if first else None
        sheet[f"{next_letter}3"] = "{{photo.member}}" if first else None
        sheet[f"{letter}4"] = "{{photo.picture}}" if first else None
        sheet.merge_cells(f"{letter}4:{next_letter}7")
        sheet[f"{letter}8"] = "{{photo.memo}}" if first else None
        for row in range(3, 9):
            for name in (letter, next_letter):
                sheet[f"{name}{row}"].border = BOX
        sheet.row_dimensions[4].height = 40
    sheet["D8"] = "{{/photo}}"
    sheet["A10"] = "=COUNTA(A3:A8)"
    sheet["B10"] = "以上"
    sheet.print_area = "A1:D10"
    return book, sheet


def conditional(book, sheet):
    sheet.conditional_formatting.add("B3:B3", CellIsRule(operator="equal", formula=['"主桁"'], fill=PatternFill("solid", bgColor="FFFF00")))
    sheet.conditional_formatting.add("A10", FormulaRule(formula=["$A$10>3"], font=Font(bold=True)))


def validation(book, sheet):
    rule = DataValidation(type="list", formula1='"a,b,c,d,e"')
    sheet.add_data_validation(rule)
    rule.add("B10")
    rule.add("B3")


def image(book, sheet):
    for cell in ("F12", "F1"):
        picture = io.BytesIO()
        Image.new("RGB", (60, 30), "red").save(picture, "PNG")
        sheet.add_image(SheetImage(picture), cell)


def names(book, sheet):
    book.defined_names["合計"] = DefinedName("合計", attr_text="'写真 台帳'!$A$10")
    book.defined_names["bc_bridge.name"] = DefinedName("bc_bridge.name", attr_text="'写真 台帳'!$B$1")
    other = book.create_sheet("参照")
    other["A1"] = "='写真 台帳'!A10+合計"


def protected(book, sheet):
    sheet.protection.sheet = True
    sheet.protection.password = "x"


def fonts(book, sheet):
    for row in sheet["A1:D10"]:
        for cell in row:
            cell.font = Font(name="ＭＳ 明朝", size=10)
            cell.alignment = Alignment(wrap_text=True)


def sheets(book, sheet):
    for number in range(40):
        other = book.create_sheet(f"様式{number}")
        other["A1"] = "{{bridge.name}}" if number % 2 else number
        other["B2"] = f"='写真 台帳'!A10*{number}"


def chart(book, sheet):
    other = book.create_sheet("グラフ")
    bar = BarChart()
    bar.add_data(Reference(sheet, min_col=1, min_row=10, max_row=12))
    other.add_chart(bar, "B2")


def comments(book, sheet):
    sheet["B10"].comment = Comment("確認", "山田")
    sheet["A1"].comment = Comment("見出し", "山田")


def hidden(book, sheet):
    other = book.create_sheet("設定")
    other.sheet_state = "hidden"
    other["A1"] = "secret"
    sheet.row_breaks.append(Break(10))


def table(book, sheet):
    for column, text in enumerate(("a", "b"), 1):
        sheet.cell(12, column, text)
        sheet.cell(13, column, column)
    sheet.add_table(Table(displayName="表1", ref="A12:B13"))


def macros(book, sheet):
    """Becomes .xlsm below."""


KINDS = [conditional, validation, image, names, protected, fonts, sheets, chart, comments, hidden, table, macros]


def make(kind, folder):
    path = folder / f"{kind.__name__}.xlsx"
    made, sheet = book()
    kind(made, sheet)
    made.save(path)
    if kind is macros:
        return with_macros(path)
    if kind in (fonts, hidden, conditional):
        convert(path, "xlsx", folder / "libreoffice")
        return folder / "libreoffice" / path.name
    return path


def with_macros(path):
    """Adds what is no real VBA project; it must come out byte for byte."""
    out = path.with_suffix(".xlsm")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "[Content_Types].xml":
                data = data.replace(b"openxmlformats-officedocument.spreadsheetml.sheet.main", b"ms-excel.sheet.macroEnabled.main")
                data = data.replace(b"</Types>", b'<Override PartName="/xl/vbaProject.bin" ContentType="application/vnd.ms-office.vbaProject"/></Types>')
            target.writestr(entry, data)
        target.writestr("xl/vbaProject.bin", bytes(range(256)) * 40)
    return out


def convert(path, form, folder):
    subprocess.run(["soffice", "--headless", "--convert-to", form, "--outdir", folder, path], check=True, capture_output=True, timeout=300)
    made = folder / path.with_suffix("." + form).name
    assert made.exists(), f"LibreOffice does not open {path}"
    return made


def facts(folder):
    for number in range(PHOTOS):
        size = (640, 480) if number % 2 else (480, 640)
        Image.new("RGB", size, (30 * number, 120, 200)).save(folder / f"p{number}.jpg")
    photos = [
        {"number": n + 1, "member": "主桁", "memo": ["=HYPERLINK(\"x\")", "+1", "@x", "a\x01b", "_x0041_", "橋" * 40_000][n % 6],
         "picture": {"picture": f"p{n}.jpg"}} for n in range(PHOTOS)
    ]
    path = folder / "facts.json"
    single = {"bridge.name": "みどり橋", "inspection.date": {"date": "2026-11-30"}}
    path.write_text(json.dumps({"single": single, "lists": {"photo": photos}}))
    return path


def compare(template, filled):
    """Compares everything but the marked cells."""
    with zipfile.ZipFile(template) as before, zipfile.ZipFile(filled) as after:
        assert after.testzip() is None
        names = set(before.namelist()) - {"xl/calcChain.xml"}
        assert names <= set(after.namelist()), names - set(after.namelist())
        same = [name for name in names if before.read(name) == after.read(name)]
        for name in names - set(same):
            assert name.startswith(("xl/worksheets/", "xl/drawings/", "xl/charts/", "xl/tables/", "xl/comments", "[Content")) or name in (
                "xl/workbook.xml", "xl/_rels/workbook.xml.rels"), f"{name} has changed"
        assert "xl/styles.xml" in same
    before, after = openpyxl.load_workbook(template, keep_vba=True), openpyxl.load_workbook(filled, keep_vba=True)
    assert before.sheetnames == after.sheetnames
    pages = -(-PHOTOS // 2)
    added = (pages - 1) * 6
    for sheet in before:
        other = after[sheet.title]
        assert sheet.sheet_state == other.sheet_state
        assert sheet.protection.sheet == other.protection.sheet
        is_main = sheet.title == "写真 台帳"
        for row in sheet.iter_rows():
            for cell in row:
                moved = other.cell(cell.row + (added if is_main and cell.row > 8 else 0), cell.column)
                assert moved.style_id == cell.style_id or moved._style == cell._style, (sheet.title, cell.coordinate)
                value = str(cell.value)
                if "{{" not in value and not value.startswith("=") and not (is_main and 3 <= cell.row <= 8):
                    if cell.coordinate != "B1":
                        assert moved.value == cell.value, (sheet.title, cell.coordinate, cell.value, moved.value)
    sheet = after["写真 台帳"]
    assert sheet["A1"].value == "橋名：みどり橋（2026-11-30）", sheet["A1"].value
    assert sheet["D1"].value == datetime.datetime(2026, 11, 30)
    assert [sheet.cell(3 + 6 * (n // 2), 1 + 2 * (n % 2)).value for n in range(PHOTOS)] == [f"No. {n + 1}" for n in range(PHOTOS)]
    assert sheet["A8"].value == '=HYPERLINK("x")' and sheet["A8"].data_type in "sf"
    assert sheet["C8"].value == "+1" and sheet["C14"].value == "ab"
    assert sheet.cell(10 + added, 1).value == f"=COUNTA(A3:A{8 + added})"
    assert sheet.print_area in (f"'写真 台帳'!$A$1:$D${10 + added}",), sheet.print_area
    merges = {str(area) for area in sheet.merged_cells.ranges}
    assert {f"{a}{4 + 6 * p}:{b}{7 + 6 * p}" for p in range(pages) for a, b in ("AB", "CD")} <= merges, merges
    assert {8 + 6 * p for p in range(pages - 1)} <= {b.id for b in sheet.row_breaks.brk}
    assert sheet.row_dimensions[10].height == before["写真 台帳"].row_dimensions[4].height
    own = len(before["写真 台帳"]._images)
    assert len(sheet._images) == own + PHOTOS, len(sheet._images)
    with zipfile.ZipFile(filled) as archive:
        raw = archive.read("xl/worksheets/sheet1.xml").decode()
        assert "HYPERLINK" in raw and "<f>HYPERLINK" not in raw and "t=\"inlineStr\"" in raw


def speed(fill, folder):
    """400 photos of 1,280 pixels and about 120 KB into the shipped sheet of three across."""
    noise = Image.effect_noise((1280, 960), 24).convert("RGB")
    quality = 60
    while True:
        noise.save(folder / "s0.jpg", quality=quality)
        if (folder / "s0.jpg").stat().st_size <= 130_000:
            break
        quality -= 4
    for number in range(400):
        noise.putpixel((number, 0), (number % 256, 0, 0))
        noise.save(folder / f"s{number}.jpg", quality=quality)
    size = (folder / "s0.jpg").stat().st_size
    photos = [{"number": n + 1, "member": "主桁", "picture": {"picture": f"s{n}.jpg"}} for n in range(400)]
    (folder / "speed.json").write_text(json.dumps({"single": {}, "lists": {"photo": photos}}))
    out = folder / "speed.xlsx"
    start = time.monotonic()
    subprocess.run(["taskset", "-c", "0", fill, "deploy/forms/damage-photos-ja.xlsx", folder / "speed.json", out], check=True, capture_output=True)
    seconds = time.monotonic() - start
    megabytes = out.stat().st_size / 1e6
    print(f"400 photos of {size // 1000} KB: {seconds:.2f} s, {megabytes:.1f} MB")
    assert seconds < 20 and megabytes < 60
    peak = subprocess.run(["python3", "-c", PEAK, fill, "deploy/forms/damage-photos-ja.xlsx", folder / "speed.json", out],
                          check=True, capture_output=True, text=True)
    megabytes = int(peak.stdout.split()[-1]) / 1024
    print(f"peak memory {megabytes:.0f} MB")
    assert megabytes < 150


PEAK = "import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True,capture_output=True);print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("fill", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the workbooks and their pages")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        known = facts(folder)
        fill = arguments.fill.resolve()
        for kind in KINDS:
            template = make(kind, folder)
            filled, again, back = (folder / f"{kind.__name__}-{end}{template.suffix}" for end in ("filled", "again", "back"))
            subprocess.run([fill, template, known, filled], check=True, capture_output=True)
            subprocess.run([fill, template, known, again], check=True, capture_output=True)
            assert filled.read_bytes() == again.read_bytes(), "the same facts give other bytes"
            compare(template, filled)
            subprocess.run([fill, "--refill", filled, template, back], check=True, capture_output=True)
            assert filled.read_bytes() == back.read_bytes(), "what is read back fills the template otherwise"
            pdf = convert(filled, "pdf", folder)
            if arguments.keep:
                subprocess.run(["pdftoppm", "-r", "50", "-png", pdf, pdf.with_suffix("")], check=True)
            print(f"{kind.__name__}: ok")
        speed(fill, folder)


if __name__ == "__main__":
    main()
