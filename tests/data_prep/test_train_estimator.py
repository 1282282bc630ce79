"""`pose-gan data train-estimator`: what it draws, how it changes images, runs that were stopped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_prep import estimator_data, estimator_training
from data_prep.augment import augment
from data_prep.estimator_data import IMAGES_PER_PERSON, SIZE, draw_person
from data_prep.people import dataset, sample_identity
from data_prep.train_estimator import main
from pose_gan.errors import InputError
from pose_gan.estimators import heatmap
from pose_gan.estimators.heatmap import STRIDE, HeatMapEstimator, load_network
from pose_gan.poses.drawing import write_image
from pose_gan.poses.keypoints import found, write_annotations
from pose_gan.poses.skeleton import COCO18


def flags(folder, **changes):
    values = {
        "output": folder / "network.weights.h5",
        "images": 80,
        "epochs": 2,
        "width": 4,
        "workers": 1,
        "images_dir": folder / "demo",
        "annotations_dir": folder,
    } | changes
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


@pytest.fixture
def noise_people(monkeypatch):
    """Noise in place of drawn people: drawing takes longer than everything else in a tiny run."""

    def noise(index, seed):
        random = np.random.default_rng([seed, index])
        images = random.integers(0, 256, (IMAGES_PER_PERSON, *SIZE, 3), dtype=np.uint8)
        return images, random.integers(-1, 64, (IMAGES_PER_PERSON, COCO18.num_joints, 2)).astype(np.int32)

    monkeypatch.setattr(estimator_data, "draw_person", noise)


@pytest.fixture(scope="module")
def person():
    """Images of four persons, with at least ten joints each, and their keypoints."""
    images, keypoints = (np.concatenate(parts) for parts in zip(*(draw_person(i, 3) for i in range(1, 5)), strict=True))
    rows = found(keypoints).sum(axis=1) >= 10
    return images[rows], keypoints[rows]


def test_people_are_drawn_again_the_same(person):
    images, keypoints = draw_person(1, 3)
    assert images.shape == (IMAGES_PER_PERSON, 128, 64, 3)
    assert images.dtype == np.uint8
    assert keypoints.shape == (IMAGES_PER_PERSON, 18, 2)
    assert np.array_equal(images[:2], draw_person(1, 3)[0][:2])
    assert not np.array_equal(images, draw_person(2, 3)[0])
    assert not np.array_equal(images, draw_person(1, 4)[0])


def test_every_twentieth_person_is_nobody():
    images, keypoints = draw_person(20, 3)
    assert images.shape == (IMAGES_PER_PERSON, 128, 64, 3)
    assert np.all(keypoints == -1)
    assert keypoints.dtype == np.int32
    assert len({image.tobytes() for image in images}) == IMAGES_PER_PERSON


def test_nobody_of_the_demo_data_is_drawn(monkeypatch):
    drawn = {dataset: set(), estimator_data: set()}

    def note(module):
        def sample(rng):
            identity = sample_identity(rng)
            drawn[module].add(identity)
            return identity

        return sample

    for module in drawn:
        monkeypatch.setattr(module, "sample_identity", note(module))
        monkeypatch.setattr(module, "render_person", lambda *_: (np.zeros((*SIZE, 3), np.uint8), np.zeros((18, 2))))
    for index in range(1, 10):
        draw_person(index, 0)
        for split in (0, 1):
            next(dataset.draw_images(dataset.PersonTask(0, split, index, 1, 1, SIZE)))
    assert [len(identities) for identities in drawn.values()] == [18, 9]
    assert not drawn[dataset] & drawn[estimator_data]


def test_augmentation_moves_keypoints_with_the_pixels(person):
    """Each joint is a dot of its own brightness; after all changes the dots are still under the keypoints."""
    random = np.random.default_rng(0)
    count = 32
    keypoints = np.stack([random.permutation(18) // 3 * 20 + 10, random.permutation(18) % 3 * 20 + 11], axis=-1)
    keypoints = np.repeat(keypoints[None], count, axis=0).astype(np.int32)
    joint = COCO18.index("nose")  # has no mirror twin
    images = np.zeros((count, 128, 64, 3), np.uint8)
    y, x = keypoints[0, joint]
    images[:, y - 2 : y + 3, x - 2 : x + 3] = 255
    seen, places, present = augment(tf.constant(images), tf.constant(keypoints), tf.constant([1, 2]))
    checked = 0
    for image, place, there in zip(seen.numpy(), places.numpy()[:, joint], present.numpy()[:, joint], strict=True):
        weights = np.maximum(image.mean(axis=-1) - 160, 0)
        if there and weights.sum() > 500 and np.all((place > 4) & (place < [123, 59])):
            rows, columns = np.indices(weights.shape)
            centre = [np.average(rows, weights=weights), np.average(columns, weights=weights)]
            if np.abs(weights[np.hypot(rows - centre[0], columns - centre[1]) > 8]).sum() == 0:  # no bright cover
                np.testing.assert_allclose(centre, place, atol=0.6)
                checked += 1
    assert checked >= 8


def test_augmentation_repeats_and_varies(person):
    images, keypoints = (tf.constant(array) for array in person)
    first, again, other = (augment(images, keypoints, tf.constant(seed)) for seed in ([0, 1], [0, 1], [0, 2]))
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)
    assert first[0].dtype == tf.float32
    assert 0 <= np.min(first[0]) < 30
    assert 200 < np.max(first[0]) <= 255


def test_missing_joints_stay_missing(person):
    images, keypoints = person
    _, _, present = augment(tf.constant(images), tf.fill(keypoints.shape, -1), tf.constant([0, 1]))
    assert not present.numpy().any()
    shares = [
        augment(tf.constant(images), tf.constant(keypoints), tf.constant([0, number]))[2].numpy().mean()
        for number in range(4)
    ]
    assert 0.7 * found(keypoints).mean() < np.mean(shares) < found(keypoints).mean()


def tiny_network(width):
    """Stands in for `build_network` where the network does not matter: it is traced in no time."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(width, STRIDE, strides=STRIDE)(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Conv2D(COCO18.num_joints, 1)(keras.layers.BatchNormalization()(x)))


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def test_a_stopped_run_goes_on_where_it_was(tmp_path, noise_people, monkeypatch, capsys):
    monkeypatch.setattr(heatmap, "build_network", tiny_network)
    main(flags(tmp_path, output=tmp_path / "whole.weights.h5"))
    save = estimator_training.save_checkpoint

    def save_and_die(*arguments, **options):
        save(*arguments, **options)
        raise Killed

    monkeypatch.setattr(estimator_training, "save_checkpoint", save_and_die)
    with pytest.raises(Killed):
        main(flags(tmp_path))
    monkeypatch.setattr(estimator_training, "save_checkpoint", save)
    assert not (tmp_path / "network.weights.h5").exists()
    with pytest.raises(InputError, match=r"unfinished work of other flags, .*'seed': 0.*; give the same flags"):
        main(flags(tmp_path, seed=1))
    monkeypatch.setattr(estimator_data, "draw_person", None)  # what was drawn is kept
    main(flags(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.weights.h5", "whole.weights.h5"]
    whole, resumed = tiny_network(4), tiny_network(4)
    whole.load_weights(tmp_path / "whole.weights.h5")
    resumed.load_weights(tmp_path / "network.weights.h5")
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert "not tested: no " in capsys.readouterr().out


def test_a_tiny_run_is_tested_on_the_demo_data(tmp_path, noise_people, capsys):
    (tmp_path / "demo/test").mkdir(parents=True)
    names = [f"0001_c1_{number}.png" for number in range(3)]
    for name in names:
        write_image(tmp_path / "demo/test" / name, np.zeros((64, 32, 3), np.uint8))
    write_annotations(tmp_path / "demo-annotation-test.csv", names, np.full((3, 18, 2), 5))
    assert main(flags(tmp_path, epochs=1)) == 0
    told = capsys.readouterr().out
    assert "76 images for training" in told
    assert "on 4 validation images:" in told
    assert "on 3 images of" in told
    assert "PCKh@0.5" in told
    estimator = HeatMapEstimator(load_network(tmp_path / "network.weights.h5", width=4))
    assert estimator(np.zeros((2, 60, 50, 3), np.uint8)).keypoints.shape == (2, 18, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "network.h5"}, r"--output: got 'network\.h5'; give a name that ends in \.weights\.h5"),
        ({"images": 79}, r"--images: got 79; give a whole number from 80"),
        ({"epochs": 0}, r"--epochs: got 0; give a whole number from 1"),
        ({"width": 0}, r"--width: got 0"),
        ({"seed": -1}, r"--seed: got -1; give a whole number from 0"),
        ({"workers": 0}, r"--workers: got 0"),
    ],
)
def test_bad_flags(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        main(flags(tmp_path, **changes))
    assert not any(tmp_path.iterdir())


def test_a_folder_of_somebody_else_s(tmp_path):
    (tmp_path / "network.weights.h5.training").mkdir()
    (tmp_path / "network.weights.h5.training/photo.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"network\.weights\.h5\.training: not the work of a training run"):
        main(flags(tmp_path))
