"""The training: batches, losses and updates against slow twins; runs that go on as if they had never stopped."""

from __future__ import annotations

import json
import os
import signal
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawn import draw_people
from PIL import Image, ImageOps

from pose_gan.errors import InputError
from pose_gan.programs import reid_train
from pose_gan.reid.batches import GREY, Batch, Batches, augment
from pose_gan.reid.images import Images, generated_name, read_images
from pose_gan.reid.model import ReidModel, learning_rate, uncertain_cross_entropy
from pose_gan.reid.settings import ReidConfig
from pose_gan.reid.training import training
from pose_gan.training.checkpoint import restore_checkpoint
from pose_gan.training.progress import NonFiniteLossError

TINY = {"image_size": (32, 32), "batch_size": 4, "iterations": 4, "checkpoint_interval": 2, "log_interval": 1}


def tiny(**values) -> ReidConfig:
    return ReidConfig.of(**{**TINY, **values})


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Images:
    """16 real images of four people, and one "generated" image of each of two sources, which is its mirror image."""
    folder = tmp_path_factory.mktemp("people")
    for name in draw_people(folder)[:2]:
        ImageOps.mirror(Image.open(folder / name)).save(folder / generated_name(name, 0))
    return read_images(folder)


@pytest.fixture(scope="module")
def real(images) -> Images:
    return images.select(~images.generated)


# ------------------------------------------------------------------------------------------ batches


def test_a_batch_depends_on_its_number_alone(images):
    config = tiny(crop="pad", random_erasing=0.5, method="embedding")
    one, two = Batches(images, config), Batches(images, config, limit=0)
    assert one.pixels.kept
    assert not two.pixels.kept
    for number, ahead in zip(range(3, 9), one.ahead(3, 9), strict=True):
        for field in ("images", "labels", "certainty", "verified"):
            np.testing.assert_array_equal(getattr(ahead, field), getattr(two[number], field))
    assert (one[0].images != one[1].images).any()


def test_batches_change_their_images_each_in_its_own_way(real):
    batches = Batches(real, tiny(random_erasing=1.0))
    erased = {(batches[number].images == GREY).all(-1).tobytes() for number in range(8)}
    assert len(erased) == 8


def test_a_pass_shows_every_image_once(images):
    batches = Batches(images, tiny(batch_size=6, flip=False))
    shown = [image.tobytes() for number in range(3) for image in batches[number].images]
    pixels = [image.tobytes() for image in batches.pixels[np.arange(len(images))]]
    assert sorted(shown) == sorted(pixels)
    again = [image.tobytes() for number in range(3, 6) for image in batches[number].images]
    assert sorted(again) == sorted(shown) != again != shown


def test_labels_are_the_people(images):
    batches = Batches(images, tiny(batch_size=18, flip=False))
    assert batches.people.tolist() == [1, 2, 3, 4]
    batch = batches[0]
    pixels = batches.pixels[np.arange(len(images))]
    for image, label in zip(batch.images, batch.labels, strict=True):
        rows = np.flatnonzero((pixels == image).all((1, 2, 3)))
        assert set(images.people[rows].tolist()) == {int(batches.people[label])}


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_the_share_of_generated_images(images, share, expected):
    batches = Batches(images, tiny(generated_share=share, generated_labels="uniform"))
    for number in range(6):
        assert (batches[number].certainty == 0).sum() == expected


@pytest.mark.parametrize(("labels", "generated"), [("hard", 0.8), ("smooth", 0.9), ("uniform", 0.0)])
def test_the_certainty_of_labels(images, labels, generated):
    batch = Batches(images, tiny(batch_size=18, label_smoothing=0.2, generated_labels=labels))[0]
    np.testing.assert_allclose(np.sort(batch.certainty), sorted([0.8] * 16 + [generated] * 2), atol=1e-6)


def test_pairs_are_of_one_person_or_of_two_and_negatives_grow(real):
    config = tiny(method="embedding", batch_size=400)
    batches = Batches(real, config)
    same = [batches[number].labels.reshape(-1, 2) for number in (0, 1000)]
    assert np.mean(same[0][:, 0] == same[0][:, 1]) == pytest.approx(1 / 2, abs=0.08)
    assert np.mean(same[1][:, 0] == same[1][:, 1]) == pytest.approx(1 / 5, abs=0.08)
    growing = Batches(real, tiny(method="embedding", batch_size=16))  # 16 images: an epoch is a batch
    assert [growing.negatives(number) for number in (0, 1, 70, 139, 140, 10**9)] == pytest.approx(
        [1, 1.01, 1.01**70, 1.01**139, 4, 4]
    )


def test_a_partner_is_another_image(real):
    batches = Batches(real, tiny(method="embedding", batch_size=64, flip=False))
    for first, second in batches[0].images.reshape(32, 2, 32, 32, 3):
        assert (first != second).any()


@pytest.mark.parametrize(
    ("values", "counted"),
    [({}, True), ({"verify_generated": False}, False), ({"generated_labels": "uniform"}, False)],
)
def test_generated_images_in_the_verification(images, values, counted):
    batches = Batches(images, tiny(method="embedding", batch_size=64, flip=False, **values))
    made = {image.tobytes() for image in batches.pixels[np.flatnonzero(images.generated)]}
    batch = batches[0]
    generated = np.array([image.tobytes() in made for image in batch.images]).reshape(-1, 2).any(1)
    assert 0 < generated.sum() < 32
    np.testing.assert_array_equal(batch.verified, np.ones(32) if counted else ~generated)


def test_an_epoch_is_as_long_with_generated_images(images, real):
    for number in (10, 100):
        assert Batches(images, tiny()).negatives(number) == Batches(real, tiny()).negatives(number)


def test_what_cannot_be_trained_on_is_told(images):
    with pytest.raises(InputError, match="two people or more"):
        Batches(images.select(images.people == 1), tiny())
    with pytest.raises(InputError, match="a batch has 2 generated images, but the folder has none"):
        Batches(images.select(~images.generated), tiny(generated_share=0.5))
    with pytest.raises(InputError, match=r"--batch_size 100000000: so many images of .* do not fit into memory"):
        Batches(images, tiny(batch_size=100_000_000))


# ------------------------------------------------------------------------------------------ changes of images


def changed(count: int = 200, size: tuple[int, int] | None = None, **values) -> tuple[np.ndarray, np.ndarray]:
    """Random images, and what the settings make of copies of one of them."""
    config = ReidConfig(image_size=(48, 32), **values)
    image = np.random.default_rng(0).integers(1, 256, (*(size or config.image_size), 3), np.uint8)
    return image, augment(np.repeat(image[None], count, 0), config, np.random.default_rng(1))


def test_half_of_the_images_are_mirrored():
    image, result = changed()
    mirrored = (result == image[:, ::-1]).all((1, 2, 3))
    assert ((result == image).all((1, 2, 3)) | mirrored).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=0.1)


def test_padded_images_move_by_up_to_the_border():
    image, result = changed(crop="pad", flip=False)
    border = 3  # 48 / 16
    padded = np.pad(image, [(border, border), (border, border), (0, 0)])
    places = {
        (y, x): padded[y : y + 48, x : x + 32].tobytes() for y in range(2 * border + 1) for x in range(2 * border + 1)
    }
    seen = {one.tobytes() for one in result}
    assert seen <= set(places.values())
    assert len(seen) > 0.9 * len(places)


def test_enlarged_images_are_cut_to_size(real):
    image, result = changed(size=(55, 37), crop="resize", flip=False)
    assert result.shape[1:] == (48, 32, 3)
    cuts = {image[y : y + 48, x : x + 32].tobytes() for y in range(8) for x in range(6)}
    assert {one.tobytes() for one in result} == cuts
    batches = Batches(real, tiny(image_size=(224, 112), crop="resize"))
    assert batches.pixels[np.arange(1)].shape == (1, 256, 128, 3)
    assert batches[0].images.shape == (4, 224, 112, 3)


def test_an_erased_rectangle_has_the_size_of_the_paper():
    image, result = changed(random_erasing=0.6, flip=False)
    erased = (result == GREY).all(-1) & (image != GREY).any(-1)
    counts = erased.sum((1, 2))
    assert (counts > 0).mean() == pytest.approx(0.6, abs=0.1)
    assert (result == image)[~erased].all()
    for mask in erased[counts > 0]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert mask.sum() == height * width
        assert 0.01 < height * width / (48 * 32) < 0.42
        assert 0.25 < height / width < 4


# ------------------------------------------------------------------------------------------ losses and updates


def test_cross_entropy_against_its_definition():
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(5, 7)).astype(np.float32), random.integers(0, 7, 5)
    certainty = np.array([1, 0.9, 0, 0.5, 1], np.float32)
    expected = []
    for row in range(5):
        target = [(1 - certainty[row]) / 7 + certainty[row] * (label == labels[row]) for label in range(7)]
        probabilities = np.exp(logits[row]) / np.exp(logits[row]).sum()
        expected.append(-sum(t * np.log(p) for t, p in zip(target, probabilities, strict=True)))
    np.testing.assert_allclose(uncertain_cross_entropy(logits, labels, certainty), expected, rtol=1e-5)
    smooth = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)
    ours = uncertain_cross_entropy(logits, labels, np.full(5, 0.9, np.float32))
    np.testing.assert_allclose(ours, smooth(tf.one_hot(labels, 7), logits), rtol=1e-5)


def test_rates_are_those_published():
    def rates(config, *steps):
        rate = learning_rate(config)
        return [rate if isinstance(rate, int | float) else float(np.asarray(rate(step))) for step in steps]

    ide, embedding = ReidConfig.of("resnet50"), ReidConfig.of("resnet50", "embedding")
    assert rates(ide, 0, 19_999, 20_000, 40_000) == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
    assert rates(embedding, 0, 89_999, 90_000) == pytest.approx([1e-3, 1e-3, 1e-4])
    assert rates(tiny(iterations=100, learning_rate=0.5), 0, 50, 100) == pytest.approx([0.5, 0.25, 0], abs=1e-6)
    assert rates(tiny(schedule="constant", learning_rate=0.5), 0, 99) == [0.5, 0.5]


def one_update(batch: Batch, **values) -> SimpleNamespace:
    """A model before and after an update by SGD with rate 1: its parts by name."""
    given = {"optimizer": "sgd", "learning_rate": 1.0, "schedule": "constant", "batch_norm": "frozen", **values}
    config = tiny(**given)
    model = ReidModel(config, 4)
    variables = [v for v in model.variables["model"] if "seed" not in v.path]
    before = {f"{number} {v.path}": v.numpy() for number, v in enumerate(variables)}
    features = model.network.get_layer("small")(batch.images.astype(np.float32))
    report = {name: float(value) for name, value in model.train_step(batch).items()}
    after = {f"{number} {v.path}": v.numpy() for number, v in enumerate(variables)}
    return SimpleNamespace(before=before, after=after, report=report, features=np.asarray(features))


def classifier(parts: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    kernel, bias = (
        next(v for path, v in parts.items() if path.endswith(f"{name}/{part}")) for part in ("kernel", "bias")
    )
    return kernel, bias


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_an_update_of_ide_by_hand(real):
    batch = Batches(real, tiny())[0]
    found = one_update(batch, weight_decay=0.0)
    kernel, bias = classifier(found.before, "people")
    error = softmax(found.features @ kernel + bias) - np.eye(4)[batch.labels]
    new_kernel, new_bias = classifier(found.after, "people")
    np.testing.assert_allclose(new_kernel - kernel, -found.features.T @ error / 4, atol=1e-5)
    np.testing.assert_allclose(new_bias - bias, -2 * error.mean(0), atol=1e-5)  # twice the rate
    assert found.report["identity"] == pytest.approx(np.log(4), abs=0.05)


def test_weight_decay_shrinks_kernels_alone(real):
    batch = Batches(real, tiny())[0]
    without, given = (one_update(batch, weight_decay=value, batch_norm="trained") for value in (0.0, 0.1))
    for name, before in without.before.items():
        decayed = "kernel" in name and "preprocess" not in name
        expected = without.after[name] - 0.1 * before * decayed
        np.testing.assert_allclose(given.after[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)


def test_an_update_of_the_embedding_by_hand(real):
    """The square layer, its softmax with the weight 0.5, and pairs that do not count."""
    batch = Batches(real, tiny(method="embedding"))[0]
    batch = Batch(batch.images, batch.labels, batch.certainty, np.array([1, 0], np.float32))
    found = one_update(batch, weight_decay=0.0, method="embedding")
    squares = (found.features[0] - found.features[1])[None] ** 2
    kernel, bias = classifier(found.before, "same")
    is_same = np.array([batch.labels[0] == batch.labels[1]]).astype(int)
    probability = softmax(squares @ kernel + bias)
    assert found.report["verification"] == pytest.approx(-np.log(probability[0, is_same[0]]), rel=1e-3)
    gradient = squares.T @ (probability - np.eye(2)[is_same])
    new_kernel, _ = classifier(found.after, "same")
    np.testing.assert_allclose(new_kernel - kernel, -0.5 * gradient, atol=1e-5)
    kernel, bias = classifier(found.before, "people")
    error = softmax(found.features @ kernel + bias) - np.eye(4)[batch.labels]
    np.testing.assert_allclose(classifier(found.after, "people")[0] - kernel, -found.features.T @ error / 4, atol=1e-5)


# ------------------------------------------------------------------------------------------ runs


def weights_of(run, config) -> list[np.ndarray]:
    model = ReidModel(config, 4)
    restore_checkpoint(run / "checkpoints" / f"step-{config.iterations:08d}", model.variables)
    return [variable.numpy() for group in model.variables.values() for variable in group]


class Killed(BaseException):
    """Stands for a kill."""


def killed_at(number: int):
    def progress(iteration: int, iterations: int) -> None:
        if iteration == number:
            raise Killed

    return progress


@pytest.fixture(scope="module")
def config() -> ReidConfig:
    return tiny(method="embedding", dropout=0.3, random_erasing=0.5, crop="pad")


@pytest.fixture(scope="module")
def whole(images, config, tmp_path_factory):
    """The folder of a run that nothing stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert training(images, config, run) == run / "network.keras"
    return run


def test_a_run_leaves_its_records(whole, images, config):
    options = json.loads((whole / "options.json").read_text())
    assert ReidConfig.from_dict(options["config"]) == config
    assert (options["images"]["count"], options["images"]["generated"], options["images"]["people"]) == (18, 2, 4)
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"identity", "accuracy", "verification", "pairs_right"} <= lines[0].keys()
    assert "18 images of 4 people, 2 of them generated" in (whole / "log.txt").read_text()
    network = keras.saving.load_model(whole / "network.keras")
    assert network.predict(np.zeros((1, 50, 40, 3), np.uint8), verbose=0).shape == (1, 256)


@pytest.mark.parametrize("iteration", [1, 3])
def test_a_killed_run_goes_on_to_the_same_network(images, config, whole, tmp_path, iteration):
    run = tmp_path / "run"
    with pytest.raises(Killed):
        training(images, config, run, progress=killed_at(iteration))
    with pytest.raises(InputError, match="holds a run already"):
        training(images, config, run)
    assert training(images, config, run, resume=True) == run / "network.keras"
    for ours, theirs in zip(weights_of(run, config), weights_of(whole, config), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # equal, if TensorFlow computes with one thread
    lines = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines == [1, 2, 3, 4]


def test_sigterm_stops_with_a_checkpoint(images, config, whole, tmp_path, capsys):
    run = tmp_path / "run"

    def stop(iteration: int, iterations: int) -> None:
        if iteration == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    assert training(images, config, run, progress=stop) is None
    assert (run / "checkpoints" / "LAST").read_text() == "step-00000003\n"
    assert not (run / "network.keras").exists()
    assert "stopped at iteration 3; the same command with --resume auto goes on" in capsys.readouterr().out
    told = []
    assert training(images, config, run, resume=True, progress=lambda *numbers: told.append(numbers))
    assert told == [(4, 4)]
    for ours, theirs in zip(weights_of(run, config), weights_of(whole, config), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_run_that_has_ended_stays(images, config, whole):
    before = (whole / "network.keras").read_bytes()
    assert training(images, config, whole, resume=True) == whole / "network.keras"
    assert (whole / "network.keras").read_bytes() == before
    assert (whole / "log.txt").read_text().endswith("is trained already, for 4 iterations\n")


def test_a_run_keeps_its_settings_and_images(images, real, config, whole):
    with pytest.raises(InputError, match=r"--seed: the run in .* has 0, got 5; leave the flag as it was"):
        training(images, tiny(**{**config.to_dict(), "seed": 5}), whole, resume=True)
    with pytest.raises(InputError, match="trained on other images"):
        training(real, config, whole, resume=True)
    training(images, tiny(**{**config.to_dict(), "log_interval": 9}), whole, resume=True)
    with pytest.raises(InputError, match="holds a run already; continue it with --resume auto"):
        training(images, config, whole)


def test_a_loss_that_is_no_number_ends_the_run(real, tmp_path):
    config = tiny(optimizer="sgd", learning_rate=1e30, schedule="constant")
    with pytest.raises(NonFiniteLossError, match=r"the loss 'identity' became .* between iterations"):
        training(real, config, tmp_path / "run")
    assert not (tmp_path / "run" / "network.keras").exists()


def test_the_command_trains_on_the_people_of_the_training(tmp_path, capsys):
    draw_people(tmp_path / "images")
    words = ["--images", str(tmp_path / "images"), "--output_dir", str(tmp_path / "run"), "--image_size", "32x32"]
    words += ["--batch_size", "4", "--iterations", "2", "--resume", "auto"]
    assert reid_train.main(words) == 0
    assert "8 images of 2 people, 0 of them generated, as 32x32; ide on small" in capsys.readouterr().out
    options = json.loads((tmp_path / "run" / "options.json").read_text())
    assert options["command"] == f"pose-gan reid train {' '.join(words)}"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ide", "embedding"])
def test_a_network_finds_people_it_has_not_seen(tmp_path, method):
    """Among 16 new people, chance finds one of 16."""
    draw_people(tmp_path / "train", people=24, cameras=3, size=(64, 32))
    draw_people(tmp_path / "test", people=16, cameras=2, each=1, size=(64, 32), first=100)
    train, test = read_images(tmp_path / "train"), read_images(tmp_path / "test")
    file = training(train, ReidConfig.of(method=method, image_size=(64, 32), iterations=250), tmp_path / "run")
    pixels = Batches(test, ReidConfig(image_size=(64, 32), flip=False)).pixels[np.arange(len(test))]
    features = keras.saving.load_model(file).predict(pixels, verbose=0)
    query, gallery = (test.cameras == camera for camera in (1, 2))
    nearest = test.people[gallery][np.argmax(features[query] @ features[gallery].T, axis=1)]
    assert np.mean(nearest == test.people[query]) > 0.6
