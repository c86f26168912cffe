"""The published subsets: the rows that pandas samples, and their files."""

import csv

import pandas
import pytest

from bridgeclip_models.cli import main
from bridgeclip_models.errors import UserError
from bridgeclip_models.subsets import SIZES, parse_size, size_name, subset_rows

# First rows of pandas.DataFrame(range(130_930)).sample(n=10_000, random_state=42), by pandas 3.
PUBLISHED_START = [63521, 90723, 93986, 55492, 63632, 103478, 77546, 70761]


def test_rows_are_those_that_pandas_samples():
    assert subset_rows(130_930, 10_000)[:8] == PUBLISHED_START
    for total, size in ((130_930, 10_000), (130_930, 120_000), (97, 10), (5, 5)):
        expected = pandas.DataFrame({"row": range(total)}).sample(n=size, random_state=42)["row"].tolist()
        assert subset_rows(total, size) == expected


def test_there_are_thirteen_with_the_whole_set_and_they_are_nested():
    assert [size_name(size) for size in SIZES] == [f"{10 * count}k" for count in range(1, 13)]
    assert subset_rows(130_930, 120_000)[:10_000] == subset_rows(130_930, 10_000)


@pytest.mark.parametrize(("text", "size"), [("10k", 10_000), ("250", 250), ("all", 0)])
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-5", "ten", "1.5k", "k"])
def test_other_sizes_are_refused(text):
    with pytest.raises(UserError, match="give a number of rows"):
        parse_size(text)


def table(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_files_hold_the_rows_with_all_columns(tmp_path):
    source = tmp_path / "train.csv"
    source.write_text("id,image,text\n" + "".join(f'{n},photos/{n}.jpg,"A, {n}"\n' for n in range(20)) + "20,/abs/20.jpg,x\n")
    assert main(["subsets", str(source), "--sizes", "5", "all"]) == 0
    assert [row[0] for row in table(tmp_path / "train_5.csv")[1:]] == [str(row) for row in subset_rows(21, 5)]
    assert table(tmp_path / "train_all.csv") == table(source)
    assert main(["subsets", str(source), "--sizes", "all", "--out", str(tmp_path / "sub")]) == 0
    moved = table(tmp_path / "sub" / "train_all.csv")
    assert moved[1] == ["0", "../photos/0.jpg", "A, 0"] and moved[21][1] == "/abs/20.jpg"


def test_set_that_is_too_small_is_named(tmp_path, capsys):
    source = tmp_path / "train.csv"
    source.write_text("image,text\na.jpg,x\n")
    assert main(["subsets", str(source)]) == 1
    assert "has 1 rows, fewer than the subset of 10000" in capsys.readouterr().err
    source.write_text("image,text\na.jpg,x,y\n")
    assert main(["subsets", str(source), "--sizes", "1"]) == 1
    assert "row 2: 3 cells instead of 2" in capsys.readouterr().err
