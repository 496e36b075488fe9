"""The `.ts` text format."""

import json

import numpy as np
import pytest
from metalearner_modality_signal.modality import SignalModality

from metalearner.arrays import Fields, Ragged
from metalearner.errors import DataError
from metalearner.records import Schema

SIGNAL = SignalModality()
HEADER = "# made by hand\n@problemName Toy\n@timeStamps false\n@univariate {}\n{}@classLabel true up down\n@data\n"


def write(path, lines, univariate="true", more=""):
    path.write_text(HEADER.format(univariate, more) + "\n".join(lines) + "\n")
    return path


def decode(source, schema):
    return Fields.concat(list(SIGNAL.decode(source, Schema.from_json(json.loads(json.dumps(schema.to_json()))))))


def test_equal_lengths(tmp_path):
    path = write(tmp_path / "a.ts", ["1,2,?,4,5,6,7,8:up", "", "% a remark", "8,7,6,5,4,3,2,1.5:down"])
    schema = SIGNAL.sniff(path)
    assert schema.rows == 2 and set(schema.column("label").levels) == {"up", "down"}
    assert schema.column("signal").missing == 1 / 16
    fields = decode(path, schema)
    assert fields["signal"].shape == (2, 8, 1) and np.isnan(fields["signal"][0, 2, 0])
    assert fields["signal"][1, -1, 0] == 1.5 and fields["label"].tolist() == ["up", "down"]


def test_unequal_lengths_and_dimensions(tmp_path):
    path = write(tmp_path / "a.ts", ["1,2,3:4,5,6:up", "1,2:3,4:down"], "false", "@dimensions 2\n@equalLength false\n")
    schema = SIGNAL.sniff(path)
    assert schema.options["ragged"] and schema.options["channels"] == 2
    signal = decode(path, schema)["signal"]
    assert isinstance(signal, Ragged) and signal.lengths.tolist() == [3, 2]
    assert signal[0].tolist() == [[1, 4], [2, 5], [3, 6]]


def test_channels_are_never_taken_for_time(tmp_path):
    walk = np.cumsum(np.random.default_rng(0).normal(size=(20, 9, 2)), axis=1)
    lines = [":".join(",".join(map(str, row)) for row in sample) + ":up" for sample in walk]
    schema = SIGNAL.sniff(write(tmp_path / "a.ts", lines, "false"))
    assert SIGNAL.views(schema)["signal"].shape == (2, 9)


def test_regression(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text("@targetlabel true\n@data\n1,2,3:0.25\n4,5,6:-7\n4,5,7:?\n")
    schema = SIGNAL.sniff(path)
    assert schema.column("label").kind == "number" and schema.column("label").missing == pytest.approx(1 / 3)
    np.testing.assert_array_equal(decode(path, schema)["label"], [0.25, -7, np.nan])


def test_a_folder_with_a_training_and_a_test_file(tmp_path):
    write(tmp_path / "Toy_TRAIN.ts", ["1,2:up", "2,1:down"])
    write(tmp_path / "Toy_TEST.ts", ["1,3:up", "3,1:down", "5,1:down"])
    schema = SIGNAL.sniff(tmp_path)
    assert schema.rows == 2 and schema.options["test_file"] == "Toy_TEST.ts"
    assert decode(tmp_path, schema)["signal"].shape == (2, 2, 1)
    assert decode(tmp_path / "Toy_TEST.ts", schema)["label"].tolist() == ["up", "down", "down"]
    write(tmp_path / "Other_TRAIN.ts", ["1,2:up"])
    with pytest.raises(DataError, match=r"2 series files: Other_TRAIN\.ts, Toy_TRAIN\.ts"):
        SIGNAL.sniff(tmp_path)


def test_rows_to_predict_need_no_labels(tmp_path):
    inputs = SIGNAL.sniff(write(tmp_path / "a.ts", ["1,2:up", "2,1:down"])).without("label")
    (tmp_path / "b.ts").write_text("@univariate true\n@classLabel false\n@data\n3,4\n")
    assert decode(tmp_path / "b.ts", inputs)["signal"].ravel().tolist() == [3, 4]
    assert decode(tmp_path / "a.ts", inputs).keys() == {"signal"}
    (tmp_path / "c.ts").write_text("@univariate true\n@classLabel false\n@data\n3,4,5\n")
    with pytest.raises(DataError, match="3 x 1"):
        decode(tmp_path / "c.ts", inputs)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no @data line in its 0 lines"),
        ("@problemName Toy\n@classLabel true a b\n", "no @data line in its 2 lines"),
        ("@classLabel true a b\n@data\n", "holds no series"),
        ("@classLabel true a b\n1,2:a\n", "line 2: values before @data"),
        ("@classLabel perhaps\n@data\n1,2:a\n", "line 1: @classLabel needs true or false, not 'perhaps'"),
        ("@dimensions two\n@data\n", "line 1: @dimensions needs a whole number"),
        ("@timeStamps true\n@data\n", "line 1: series with time stamps"),
        ("@classLabel true a b\n@data\n1,2:a\n\n1,2:3,4:b\n", "line 5: 2 dimensions where 1 are expected"),
        ("@dimensions 2\n@classLabel true a b\n@data\n1,2:a\n", "line 4: 1 dimensions where 2 are expected"),
        ("@classLabel true a b\n@data\n1,2:3:a\n", r"line 3: dimensions of unequal lengths \[1, 2\]"),
        (
            "@equalLength true\n@seriesLength 3\n@classLabel true a\n@data\n1,2:a\n",
            "line 5: 2 values where @seriesLength says 3",
        ),
        ("@classLabel true a b\n@data\n1,2:a\n1,x:b\n", "line 4: could not convert string to float: 'x'"),
        ("@classLabel true a b\n@data\n1,2:a\n1,2:c\n", "line 4: the label 'c' is none of @classLabel a b"),
        ("@classLabel false\n@data\n1,2\n", "1 signals and no labels"),
        ("@classLabel true a b\n@data\n?,?:a\n", "no finite number"),
    ],
)
def test_broken_files(tmp_path, text, message):
    path = tmp_path / "broken.ts"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        SIGNAL.sniff(path)
