"""A trained generator as a layer of another Keras model, in which `fit` fine-tunes it.

The model's pictures have values from 0 to 255, and its loss is the mean absolute difference of grey levels. Only the
generator's decoder is trained. The generator alone is saved, as an ordinary model file for `pose_gan.load_generator`,
`pose-gan test` and `pose-gan train`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

import pose_gan
from pose_gan import runtime
from pose_gan.config import DataConfig
from pose_gan.data.batches import Batch, ordered_batches, training_batches
from pose_gan.data.pair_data import open_pairs
from pose_gan.errors import InputError, run_program
from pose_gan.model_files.saving import MODEL_SUFFIXES, read_info, save_model


def build_model(generator: keras.Model) -> keras.Model:
    """`generator`, followed by a new layer. The inputs are the generator's, by name; the output is in [0, 255]."""
    inputs = {tensor.name: keras.Input(tensor.shape[1:], name=tensor.name) for tensor in generator.inputs}
    image = generator(list(inputs.values()))
    return keras.Model(inputs, keras.layers.Rescaling(127.5, offset=127.5)(image))


def sample(batch: Batch) -> tuple[Batch, tf.Tensor]:
    """A batch in the form that `fit` takes: inputs by name, and the target in the model's range [0, 255]."""
    target = batch.pop("target_image")
    return batch, (target + 1) * 127.5


def open_data(args: argparse.Namespace) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Endless shuffled training pairs, and the first test pairs, after a check that they fit the generator."""
    files = DataConfig(args.dataset, args.images_dir, args.annotations_dir)
    config = read_info(args.generator).model
    needs = {"image_size": config.image_size, "skeleton": config.skeleton, "use_bg": config.use_bg}
    train = open_pairs(files, "train", **needs)
    test = open_pairs(files, "test", **needs, limit=args.test_pairs)
    batches = training_batches(train, args.batch_size, args.seed), ordered_batches(test, args.batch_size)
    return batches[0].map(sample), batches[1].map(sample)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", metavar="RUN|FILE", default="demo/run", help="training run, or model file")
    parser.add_argument("--dataset", default="demo", metavar="NAME", help="prefix of the annotation files")
    parser.add_argument("--images_dir", default="data/demo-dataset", metavar="DIR", help="holds train/ and test/")
    parser.add_argument("--annotations_dir", default="annotations", metavar="DIR", help="has keypoints and pairs")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="updates")
    parser.add_argument("--batch_size", type=int, default=4, metavar="N", help="pairs an update")
    parser.add_argument("--learning_rate", type=float, default=1e-4, metavar="RATE", help="of Adam")
    parser.add_argument("--test_pairs", type=int, default=64, metavar="N", help="pairs that the loss is measured on")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the order of pairs and of dropout")
    parser.add_argument("--output", default="finetuned.keras", metavar="FILE", help="the generator; .keras or .h5")
    args = parser.parse_args(argv)

    if min(args.steps, args.batch_size, args.test_pairs) < 1:
        raise InputError("--steps, --batch_size and --test_pairs must be 1 or more")
    if Path(args.output).suffix not in MODEL_SUFFIXES:
        raise InputError(f"--output {args.output}: a model file ends in {' or '.join(MODEL_SUFFIXES)}")
    runtime.start()
    keras.utils.set_random_seed(args.seed)
    generator = pose_gan.load_generator(args.generator)
    if not generator.trainable_weights:  # for example, from a SavedModel
        raise InputError(f"{args.generator}: cannot be trained; give the .h5 or .keras file")
    train, test = open_data(args)
    for layer in generator.layers:
        layer.trainable = layer.name.startswith("decoder")
    model = build_model(generator)
    model.compile(keras.optimizers.Adam(args.learning_rate), loss="mae")

    print(f"training {len(model.trainable_weights)} of the generator's {len(generator.weights)} arrays of weights")
    before = model.evaluate(test, verbose=0)
    model.fit(train, steps_per_epoch=args.steps, shuffle=False, verbose=0)
    after = model.evaluate(test, verbose=0)
    print(f"difference to the test images, grey levels: {before:.3f} before, {after:.3f} after")

    for layer in generator.layers:  # so that no layer is frozen in the file
        layer.trainable = True
    save_model(generator, args.output)
    print(f"generator -> {args.output}")


if __name__ == "__main__":
    run_program(main)
