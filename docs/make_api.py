"""Writes the pages of `docs/api` from signatures and docstrings, without importing the code. `make docs` runs it."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs/api"
FRONT = "README.md"  # written by hand, except the table between its two comments

# The stable API, in the order of the pages. Everything else is internal.
STABLE = {
    module: names.split()
    for module, names in {
        "pose_gan": "load_generator transfer",
        "pose_gan.geometry": "heatmaps part_masks part_transforms uniform_transform stickman",
        "pose_gan.layers": "DeformableSkip InstanceNormalization PoseMaps PartGeometry UniformTransform "
        "SpatialTransformer",
        "pose_gan.losses": "nearest_neighbour_loss generator_adversarial_loss discriminator_adversarial_loss "
        "l1_loss total_variation structure_loss",
        "pose_gan.networks": "build_generator build_discriminator generator_config",
        "pose_gan.config": "ModelConfig",
        "pose_gan.model_files.saving": "save_model load_model read_info",
        "pose_gan.model_files.metadata": "ModelInfo TrainingInfo",
        "pose_gan.model_files.formats": "write",
        "pose_gan.poses.skeleton": "Skeleton Part Stroke COCO18 load_skeleton",
        "pose_gan.poses.keypoints": "read_annotations write_annotations Annotations found has_required_joints",
        "pose_gan.poses.drawing": "to_float to_uint8 write_image draw_skeleton parts_overlay strip grid",
        "pose_gan.metrics": "ssim mask_ssim l1 psnr lpips inception_score frechet_distance detection_score body_mask "
        "CannotCompute",
        "pose_gan.estimators": "load_estimator EstimatorConfig Estimator Poses",
        "pose_gan.reid": "evaluate_ranking kissme xqda",
        "pose_gan.reid.ranking": "Ranking",
        "pose_gan.evaluation.explanation": "heat_maps part_names part_masks part_transforms deformed_source_by_part "
        "deformed_source",
        "pose_gan.errors": "InputError",
    }.items()
}

ITEMISED = ("Args", "Call arguments", "Attributes")
HEADS = (
    *(*ITEMISED, "Args and Returns", "Returns", "Raises", "Example"),
    *("Source", "Reference", "Matches", "Deviation", "Deprecated"),
)
ITEM = re.compile(r"^(\w+(?:, \w+)*): ", re.MULTILINE)  # a name, or several names with one description

PACKAGE = griffe.load("pose_gan", search_paths=[ROOT], allow_inspection=False).modules_collection
STARS: dict[griffe.ParameterKind | None, str] = {
    griffe.ParameterKind.var_positional: "*",
    griffe.ParameterKind.var_keyword: "**",
}


def find(module: str, name: str) -> griffe.Object:
    """The definition of a name, even if the module only imports it."""
    thing = PACKAGE[PACKAGE[module].imports.get(name, f"{module}.{name}")]
    return thing.final_target if isinstance(thing, griffe.Alias) else thing


def docstring(thing: griffe.Object) -> str:
    return thing.docstring.value if thing.docstring else ""


def sections(text: str) -> list[tuple[str, str]]:
    """A docstring as (head, text); prose has the head "". A line that is not indented ends the section before it."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        head, colon, rest = line.partition(":")
        if colon and head in HEADS:
            parts.append((head, [rest.strip()]))
        elif parts[-1][0] and line[:1].strip():
            parts.append(("", [line]))
        else:
            parts[-1][1].append(line)
    return [(head, textwrap.dedent("\n".join(lines)).strip()) for head, lines in parts]


def items(text: str) -> tuple[str, list[str]]:
    """An itemised section with one line per item, and the names that it describes."""
    text = re.sub(r"\n\s+", " ", text)
    return text, [name for names in ITEM.findall(text) for name in names.split(", ")]


def parameters(thing: griffe.Object) -> list[griffe.Parameter]:
    """The parameters of a call of a function or of a class."""
    given = thing.parameters if isinstance(thing, griffe.Function | griffe.Class) else ()
    return [parameter for parameter in given if parameter.name not in ("self", "cls")]


def members(thing: griffe.Object) -> Iterator[griffe.Object]:
    """Methods and properties that have a docstring."""
    for member in thing.members.values() if isinstance(thing, griffe.Class) else ():
        if isinstance(member, griffe.Object) and docstring(member) and not member.is_private:
            yield member


def signature(thing: griffe.Object) -> str:
    """The signature as in the source, with one line per parameter if it is long; empty if the object is not called."""
    if isinstance(thing, griffe.Attribute):
        return f"{thing.name}: {thing.annotation}"
    words = []
    for parameter in parameters(thing):
        star, default = STARS.get(parameter.kind, ""), parameter.default
        if isinstance(default, griffe.ExprName):  # a constant that is a plain value is shown as that value
            value = PACKAGE[default.canonical_path].value
            default = value if isinstance(value, str) else default
        annotation = f": {parameter.annotation}" if parameter.annotation else ""
        words.append(star + parameter.name + annotation + (f" = {default}" if default is not None and not star else ""))
    if isinstance(thing, griffe.Class) and not words:
        return ""
    result = f" -> {thing.returns}" if isinstance(thing, griffe.Function) else ""
    line = f"{thing.name}({', '.join(words)}){result}"
    if len(line) > 100:
        line = f"{thing.name}(\n" + "".join(f"    {word},\n" for word in words) + f"){result}"
    return line.replace("'", '"')


def file_name(module: str) -> str:
    return module.rpartition(".")[-1] + ".md"


LINKS = {f"{module}.{name}": f"{file_name(module)}#{name.lower()}" for module in STABLE for name in STABLE[module]}
SHORT = {name.rpartition(".")[-1]: link for name, link in LINKS.items()}
SHORT |= {name: file_name(name) for name in STABLE if "." in name}


def linked(text: str) -> str:
    """Turns names in backticks into links to their descriptions."""

    def link(match: re.Match[str]) -> str:
        target = LINKS.get(match[1]) or SHORT.get(match[1])
        return f"[{match[0]}]({target})" if target else match[0]

    return re.sub(r"`([\w.]+)`", link, text)


def markdown(head: str, text: str) -> str:
    if head == "Example":
        return f"**Example:**\n\n```python\n{text}\n```"
    if head in ITEMISED and items(text)[1]:
        listed = ITEM.sub(lambda match: f"- `{match[1].replace(', ', '`, `')}`: ", items(text)[0])
        return f"**{head}:**\n\n{linked(listed)}"
    flowing = linked(re.sub(r"(?<!\n)\n(?![\n|])\s*", " ", text))  # rows of tables keep their lines
    return f"**{head}:** {flowing}" if head else flowing


def body(thing: griffe.Object) -> str:
    return "\n\n".join(markdown(*section) for section in sections(docstring(thing)))


def entry(thing: griffe.Object) -> str:
    call = signature(thing)
    parts = [f"## {thing.name}", *([f"```python\n{call}\n```"] if call else []), body(thing)]
    if listed := [f"- `{signature(item)}`: {textwrap.indent(body(item), '  ').strip()}" for item in members(thing)]:
        parts.append("**Members:**\n\n" + "\n".join(listed))
    return "\n\n".join(parts)


def page(module: str) -> str:
    names = STABLE[module]
    contents = " · ".join(f"[{name}](#{name.lower()})" for name in names)
    head = [f"# {module}", f"*[Stable API]({FRONT}); written by `make docs`.*", body(PACKAGE[module]), contents]
    return "\n\n".join([*head, *(entry(find(module, name)) for name in names)]) + "\n"


def table() -> str:
    rows = ["| name | what |", "| --- | --- |"]
    for name, link in LINKS.items():
        summary = body(find(*name.rsplit(".", 1))).partition("\n\n")[0]
        rows.append(f"| [`{name}`]({link}) | " + summary.replace("|", r"\|") + " |")
    return "\n".join(rows)


def pages() -> dict[str, str]:
    """File name → text."""
    front = (FOLDER / FRONT).read_text(encoding="utf-8")
    before, _, rest = front.partition("<!-- names -->\n\n")
    after = rest.partition("\n\n<!-- end of names -->")[2]
    front = f"{before}<!-- names -->\n\n{table()}\n\n<!-- end of names -->{after}"
    return {FRONT: front, **{file_name(module): page(module) for module in STABLE}}


def main() -> None:
    new, changelog = pages(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in re.findall(r"^\| \[`([\w.]+)`", (FOLDER / FRONT).read_text(encoding="utf-8"), re.MULTILINE):
        if name not in LINKS and f"`{name}`" not in changelog:
            sys.exit(f"{name} left the stable API: see the rule in docs/api/{FRONT}, and name it in CHANGELOG.md")
    for path in FOLDER.glob("*.md"):
        path.unlink()
    for name, text in new.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
