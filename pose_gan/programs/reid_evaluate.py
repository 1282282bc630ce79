"""`pose-gan reid evaluate`: whether a network finds people again by other cameras."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_gan.errors import InputError
from pose_gan.files.folders import make_folder
from pose_gan.programs import flags
from pose_gan.programs.reid_flags import add_split_arguments, splits_of
from pose_gan.programs.score_flags import seed
from pose_gan.programs.verbs import command_line, verb_parser
from pose_gan.reid.settings import DISTANCES, LEARNT

if TYPE_CHECKING:
    from pose_gan.reid.evaluation import Evaluation
    from pose_gan.reid.features import Features
    from pose_gan.reid.images import Images

TABLE, PAGE, FEATURES = "reid.md", "reid.html", "features.npz"
EPILOG = """examples:
  pose-gan reid evaluate --images Market-1501 --network runs/reid --output_dir scores
  pose-gan reid evaluate --images Market-1501 --network osnet.onnx --distance xqda --re_rank 1 --output_dir scores
  pose-gan reid evaluate --features features.npz --output_dir scores

OUT gets reid.json (all scores and settings), reid.md (a row of a table), reid_per_query.csv, reid.html (the first
answers to some queries) and features.npz. Features are not computed again for the same network and images."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("reid evaluate", "Scores how well people are found again by other cameras.", EPILOG)
    data = parser.add_argument_group("images")
    add_split_arguments(data, required=False)
    data.add_argument(
        "--train_images",
        metavar="DIR",
        help="images for training, from which kissme and xqda learn; generated ones are left out of that, and some are "
        "shown on the page (default: the rest of --images)",
    )
    features = parser.add_argument_group("features")
    features.add_argument(
        "--network",
        metavar="NETWORK",
        help="folder of a run of pose-gan reid train, a .keras or .onnx file, or colours (for drawn people)",
    )
    features.add_argument(
        "--features",
        metavar="FILE.npz",
        help="where the features are kept; without --network: features that any program made (arrays query_values, "
        "query_people, query_cameras, the same of gallery and, for kissme and xqda, of train) (default: "
        f"OUT/{FEATURES})",
    )
    features.add_argument(
        "--normalise",
        type=flags.boolean,
        default=True,
        metavar="0|1",
        help="divide features by their lengths first; cosine always does (default: 1)",
    )
    _add_ranking_arguments(parser)
    return parser


def _add_ranking_arguments(parser: argparse.ArgumentParser) -> None:
    ranking = parser.add_argument_group("ranking")
    ranking.add_argument(
        "--distance", choices=DISTANCES, default="euclidean", help="between features (default: euclidean)"
    )
    ranking.add_argument(
        "--re_rank",
        type=flags.boolean,
        default=False,
        metavar="0|1",
        help="re-rank by k-reciprocal neighbours (Zhong et al., CVPR 2017) (default: 0)",
    )
    ranking.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="N",
        help="seed of what kissme and xqda draw, of the bootstrap and of the queries to show (default: 0)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--output_dir", required=True, metavar="OUT", help="folder for the results (required)")
    output.add_argument("--name", metavar="TEXT", help="name of the row (default: the network's)")
    output.add_argument(
        "--queries", type=_count, default=12, metavar="N", help="queries on the page and the figure (default: 12)"
    )
    output.add_argument("--figure", metavar="FILE.png", help="write their first answers as one picture too")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 1000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 1000, got {text!r}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    _check(args)
    from tqdm import tqdm

    from pose_gan.files.text import write_json, write_text
    from pose_gan.reid.evaluation import PER_QUERY, RECORD, evaluate, make_distance, rows_of, table, write_per_query
    from pose_gan.reid.page import write_figure, write_page
    from pose_gan.reid.re_ranking import ReRanking

    images, train = _read_images(args)
    output = make_folder(args.output_dir)
    if args.figure:
        make_folder(Path(args.figure).parent)
    sets = _features(args, images, output)
    print(f"distance: {args.distance}{', learnt' if 'train' in sets else ''}", file=sys.stderr, flush=True)
    distance = make_distance(args.distance, sets.get("train"), args.normalise, args.seed)
    query, gallery, re_ranking = sets["query"], sets["gallery"], ReRanking() if args.re_rank else None
    with tqdm(total=rows_of(query, gallery, re_ranking), unit="row", desc="Ranking") as bar:
        shown = args.queries if images else 0
        found = evaluate(query, gallery, distance, re_ranking, args.seed, shown, bar.update)
    name = args.name or (Path(args.network).name if args.network else Path(args.features).stem)
    text = "\n".join([table({name: found}), *(f"{remark}\n" for remark in found.remarks)])
    command = command_line("reid evaluate", argv)
    write_text(output / TABLE, text)
    write_per_query(output / PER_QUERY, query, found)
    write_json(output / RECORD, _record(args, found, images, sets, command))
    written = [output / TABLE, output / PER_QUERY, output / RECORD]
    if found.answers:
        settings = dict(sorted(vars(args).items()))
        title = f"Re-identification: {name}"
        write_page(output / PAGE, found, images["query"], images["gallery"], title, settings, command, train)
        written.append(output / PAGE)
    if args.figure:
        write_figure(args.figure, found, images["query"], images["gallery"])
        written.append(Path(args.figure))
    print(text)
    print("written:", ", ".join(map(str, written)))
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be said before anything is read or computed."""
    if args.network and not args.images:
        raise InputError("--network needs --images, whose features it computes")
    if not args.network and not args.features:
        raise InputError("give --images and --network, or the --features that another program made")
    if args.figure and (Path(args.figure).suffix not in (".png", ".jpg") or not args.images or not args.queries):
        raise InputError(f"--figure {args.figure}: needs a name in .png or .jpg, --images, and 1 or more --queries")
    if args.train_images and not args.network:
        raise InputError("--train_images: needs --network; without it, the features of train stand in --features")


def _read_images(args: argparse.Namespace) -> tuple[dict[str, Images], Images | None]:
    """The images whose features are needed: `query`, `gallery`, and `train` if the distance is learnt; none if there
    are only features. And the images for training, generated ones included, if they are known.
    """
    from pose_gan.metrics.identity import COLOURS
    from pose_gan.reid.features import network_file
    from pose_gan.reid.images import PARTS, read_images

    if args.network and args.network != COLOURS:
        network_file(args.network)
    if not args.images:
        return {}, None
    splits = splits_of(args)
    images, train = {"query": splits.query, "gallery": splits.gallery}, splits.train
    if not len(splits.query):
        raise InputError(f"--images {args.images}: no image is a query; give a --test_share above 0")
    if args.train_images:
        inner = Path(args.train_images) / PARTS[0]
        train = read_images(inner if inner.is_dir() else args.train_images, args.pattern)
    if args.distance in LEARNT and args.network:
        if both := sorted({*train.people[train.people > 0].tolist()} & {*splits.query.people.tolist()}):
            raise InputError(
                f"{train.folder}: {len(both)} people of the test are among those of the training, such as {both[0]}; "
                "what is learnt from people of the test says nothing"
            )
        images["train"] = train.select((train.people > 0) & ~train.generated)
        if not len(images["train"]):
            raise InputError(
                f"--distance {args.distance}: there is no image to learn from; give --train_images, or a --test_share "
                "below 1"
            )
    return images, train


def _features(args: argparse.Namespace, images: dict[str, Images], output: Path) -> dict[str, Features]:
    from tqdm import tqdm

    from pose_gan.reid.features import extract_cached, read_features

    if args.network:
        with tqdm(total=sum(map(len, images.values())), unit="image", desc="Features") as bar:
            return extract_cached(args.features or output / FEATURES, images, args.network, bar.update)
    sets = read_features(args.features)
    needed = ["query", "gallery", *(["train"] if args.distance in LEARNT else [])]
    if absent := [name for name in needed if name not in sets]:
        raise InputError(f"--features {args.features}: has no array {absent[0]}_values; it holds {', '.join(sets)}")
    for name, of_name in images.items():
        if sets[name].names != of_name.names:
            raise InputError(
                f"--features {args.features}: the names of {name} are not those of --images {args.images}; leave "
                "--images out, or give --network"
            )
    return {name: sets[name] for name in needed}


def _record(
    args: argparse.Namespace, found: Evaluation, images: dict[str, Images], sets: dict[str, Features], command: str
) -> dict[str, Any]:
    """The content of `reid.json`."""
    from pose_gan.versions import versions

    return {
        **found.to_dict(),
        "network": {"path": args.network, "sha256": sets["query"].network},
        "images": {
            name: {
                "folder": str(images[name].folder) if name in images else None,
                "count": len(one),
                "people": len({*one.people[one.people > 0].tolist()}),
                "sha256": one.images,
            }
            for name, one in sets.items()
        },
        "run": {"command": command, "options": dict(sorted(vars(args).items()))},
        "versions": versions(),
    }
