"""NPZ archives that cannot be learned from, and what is said of them."""

import numpy as np
import pytest
from metalearner_modality_signal.modality import SignalModality

from metalearner.errors import DataError

SIGNAL = SignalModality()
X, Y = np.random.default_rng(0).normal(size=(20, 9)), np.arange(20) % 2
RAGGED = np.array([[1.0], [1.0, 2.0]] * 10, dtype=object)

BAD = {
    "without labels": ({"x": X}, "20 signals and no labels"),
    "object signals": ({"x": RAGGED, "y": Y}, "'x' .* would have to be unpickled.\nNothing is ever unpickled"),
    "object labels": ({"x": X, "y": np.array(["a", "b"] * 10, dtype=object)}, "'y' .* would have to be unpickled"),
    "too few labels": ({"x": X, "y": Y[:-1]}, "20 signals and 19 labels"),
    "one-hot labels": ({"x": X, "y": np.eye(2)[Y]}, r"'y' .* shape \(20, 2\)"),
    "flat values": ({"x": X[:, 0], "y": Y}, r"shape \(20,\)"),
    "too many axes": ({"x": np.zeros((20, 2, 2, 2, 2, 2)), "y": Y}, r"\(20, 2, 2, 2, 2, 2\)"),
    "an empty axis": ({"x": np.zeros((20, 0, 3)), "y": Y}, "they are empty"),
    "no rows": ({"x": X[:0], "y": Y[:0]}, "holds no signals"),
    "nothing finite": ({"x": np.full((20, 9), np.nan), "y": Y}, "no finite number"),
    "two unknown arrays": ({"left": X, "right": X, "y": Y}, r"which array holds the signals: left \(20, 9\), right"),
    "offsets past the end": ({"x": X.ravel(), "offsets": np.arange(21) * 10, "y": Y}, "'offsets' .* end at 200"),
    "falling offsets": ({"x": X.ravel(), "offsets": np.array([0, 90, 60, 180]), "y": Y[:3]}, "'offsets'"),
    "lengths that do not sum up": ({"x": X.ravel(), "lengths": np.full(20, 8), "y": Y}, "'lengths' .* end at 160"),
    "fractional lengths": ({"x": X.ravel(), "lengths": np.full(20, 9.0), "y": Y}, "holds float64"),
}


@pytest.mark.parametrize("arrays, message", BAD.values(), ids=BAD)
def test_bad_archives(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        SIGNAL.sniff(tmp_path / "bad.npz")
    assert "bad.npz" in caught.value.happened and (caught.value.holds or caught.value.hint)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "encrypted", "text", "empty"])
def test_corrupt_archives(tmp_path, damage):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, x=X, y=Y)
    whole = path.read_bytes()
    entry = whole.index(b"PK\x01\x02") + 8  # the flags of the first entry in the archive's directory
    damaged = {
        "truncated": whole[:600],
        "flipped": whole[:700] + bytes(20) + whole[720:],
        "encrypted": whole[:entry] + bytes([whole[entry] | 1]) + whole[entry + 1 :],
        "text": b"PK no",
        "empty": b"",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=r"bad\.npz cannot be read"):
        SIGNAL.sniff(path)


def test_an_archive_to_predict_of_another_shape(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    inputs = SIGNAL.sniff(tmp_path / "a.npz").without("label")
    np.savez(tmp_path / "b.npz", x=X[:, :7])
    with pytest.raises(DataError, match=r"7 x 1 .*\n.*9 x 1"):
        list(SIGNAL.decode(tmp_path / "b.npz", inputs))
    np.savez(tmp_path / "c.npz", samples=X[:3])
    (fields,) = SIGNAL.decode(tmp_path / "c.npz", inputs)
    np.testing.assert_allclose(fields["signal"][..., 0], X[:3], rtol=1e-6)
    with pytest.raises(DataError, match="no signal source"):
        list(SIGNAL.decode(tmp_path / "none.npz", inputs))
