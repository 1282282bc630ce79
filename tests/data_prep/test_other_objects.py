"""Another body, from DeepLabCut's CSV to a checked data set, with the verbs of docs/other-objects.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from data_prep import check, import_keypoints, pairs, resize
from pose_gan.data.pairs import read_pairs
from pose_gan.files.images import read_image, save_image
from pose_gan.poses.keypoints import found, read_annotations
from pose_gan.poses.skeleton import load_skeleton

MOUSE = ROOT / "examples" / "skeletons" / "mouse.toml"
FRAMES = 9


@pytest.fixture
def video(tmp_path, monkeypatch) -> Path:
    """Frames with a grey body that turns, a white dot at each point, in train/ and test/; one CSV of all frames."""
    monkeypatch.chdir(tmp_path)
    rows = ["scorer" + ",me" * 8, "bodyparts,snout,snout,leftear,leftear,rightear,rightear,tailbase,tailbase"]
    rows.append("coords" + ",x,y" * 4)
    for number in range(FRAMES):
        turn, middle = 0.5 * number, np.array([60 + 4 * number, 90])
        along, across = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
        points = np.stack([30 * along, 24 * along + 6 * across, 24 * along - 6 * across, -30 * along]) + middle
        image = np.full((160, 200, 3), 40, np.uint8)
        for y, x in points.round().astype(int):
            image[y - 3 : y + 4, x - 3 : x + 4] = 255
        folder = tmp_path / "data/mouse-dataset" / ("train" if number < 6 else "test")
        folder.mkdir(parents=True, exist_ok=True)
        save_image(folder / f"img{number:04d}.png", image)
        cells = ",".join(f"{value:.3f}" for value in points[:, ::-1].ravel())
        rows.append(f"labeled-data/m/img{number:04d}.png,{cells}")
    csv = tmp_path / "CollectedData_me.csv"
    csv.write_text("\n".join(rows) + "\n")
    return csv


def test_from_a_csv_to_a_checked_data_set(video, capsys):
    skeleton = ["--skeleton", str(MOUSE)]
    for split in ("train", "test"):
        import_keypoints.main([str(video), "--dataset", "mouse", "--split", split, *skeleton])
    size = ["--image_size", "64x64"]
    to = ["--dataset", "mouse", "--output_dataset", "mouse64", "--fit", "person", "--scale", "0.6"]
    resize.main([*to, *size, *skeleton])
    pairs.main(["--dataset", "mouse64", "--person", "", *skeleton])
    capsys.readouterr()
    assert check.main(["--dataset", "mouse64", "--person", "", *size, *skeleton]) == 0
    said = capsys.readouterr().out
    assert "no problems" in said
    assert "hint" not in said
    for split, count in (("train", 6), ("test", 3)):
        assert len(read_pairs(f"annotations/mouse64-pairs-{split}.csv")) == count * (count - 1)
        table = read_annotations(f"annotations/mouse64-annotation-{split}.csv", load_skeleton(MOUSE))
        assert len(table) == count
        assert found(table.keypoints).all()
        lengths = np.linalg.norm(table.keypoints[:, 0] - table.keypoints[:, 3], axis=-1)
        np.testing.assert_allclose(lengths, 0.6 * 60, atol=1.5)  # the animal has one size in all images
        for name, pose in zip(table.names, table.keypoints, strict=True):
            image = read_image(f"data/mouse64-dataset/{split}/{name}")
            assert (image[pose[:, 0], pose[:, 1]] > 200).all()
