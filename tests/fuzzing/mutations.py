"""How files are damaged. Every choice is drawn by Hypothesis, so that a seed repeats a run.

Some mutations know the form of a file, and so reach what stands behind its first check: JSON with other values, HDF5
with other arrays and links, archives with other members, graphs with other operators.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from google.protobuf.message import DecodeError
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

SCALARS: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    -(2**64),
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../x",
]
SCALARS += [
    "Lambda",
    "ReLU",
    "\0",
    "é" * 40,
    "9" * 5000,
    [],
    {},
    [[]],
    {"class_name": "Lambda", "config": {}},
    [1] * 999,
]
CELLS = [
    "",
    "-1",
    "nan",
    "1e400",
    "[",
    "[1, 2",
    '"',
    "'",
    ",",
    ":",
    "\n",
    "\r",
    "\0",
    "é",
    "../../x.jpg",
    "9" * 5000,
    "a",
]
BYTES = [b"\0", b"\xff", b"\x7f", b"\x80", b"\xff" * 4, b"\0" * 8, b"\xff" * 8, b"\x00\x00\x00\x80", b"../", b"%s%n"]
OPERATORS = [
    "WriteFile",
    "ReadFile",
    "PyFunc",
    "DatasetToTFRecord",
    "TextLineDataset",
    "SaveV2",
    "RestoreV2",
    "PrintV2",
]
OPERATORS += [
    "Conv2D",
    "While",
    "StatefulPartitionedCall",
    "NoOp",
    "Placeholder",
    "Reshape",
    "Fill",
    "Const",
    "Nothing",
]


def damage_bytes(content: bytes, draw: Draw) -> bytes:
    """Bytes changed, put in, taken out, repeated or cut off, at one place or several."""
    data = bytearray(content)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4, 16]))):
        end = min(len(data), draw(st.sampled_from([64, 4096, len(data)])))
        start = draw(st.integers(0, max(end - 1, 0)))
        length = draw(st.sampled_from([1, 1, 4, 16, 512]))
        change = draw(st.sampled_from(["set", "set", "flip", "put", "take", "repeat", "cut"]))
        piece = draw(st.one_of(st.sampled_from(BYTES), st.binary(min_size=1, max_size=16)))
        if change == "set":
            data[start : start + len(piece)] = piece
        elif change == "flip" and data:
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif change == "put":
            data[start:start] = piece
        elif change == "take":
            del data[start : start + length]
        elif change == "repeat":
            data[start:start] = data[start : start + length] * draw(st.sampled_from([1, 2, 50]))
        elif change == "cut":
            del data[start:]
    return bytes(data)


def damage_text(content: bytes, draw: Draw) -> bytes:
    """Lines left out, repeated or exchanged, and cells replaced."""
    lines = content.decode("utf-8", "replace").splitlines(keepends=True)
    for _ in range(draw(st.sampled_from([1, 1, 2, 8]))):
        if not lines:
            break
        row = draw(st.integers(0, min(len(lines) - 1, draw(st.sampled_from([1, 10**6])))))
        change = draw(st.sampled_from(["cell", "cell", "cell", "leave out", "repeat", "exchange", "join"]))
        if change == "cell":
            mark = draw(st.sampled_from([":", ",", '"', " ", "=", "["]))
            cells = lines[row].split(mark)
            column = draw(st.integers(0, len(cells) - 1))
            cells[column] = draw(st.one_of(st.sampled_from(CELLS), st.text(max_size=8), st.integers().map(str)))
            lines[row] = mark.join(cells)
        elif change == "leave out":
            del lines[row]
        elif change == "repeat":
            lines.insert(row, lines[row])
        elif change == "exchange":
            lines[row], lines[-1] = lines[-1], lines[row]
        else:
            lines[row] = lines[row].rstrip("\n")
    return "".join(lines).encode("utf-8", "surrogatepass")


def damage_json(content: bytes, draw: Draw) -> bytes:
    """A value, at any depth, replaced by one of another kind, left out, or moved; now and then the text itself."""
    try:
        tree = json.loads(content)
    except ValueError:
        return damage_bytes(content, draw)
    for _ in range(draw(st.sampled_from([1, 1, 1, 3]))):
        tree = _changed(tree, draw)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _changed(tree: Any, draw: Draw) -> Any:
    """A JSON value with one value in it changed."""
    if not isinstance(tree, (dict, list)) or not tree or draw(st.integers(0, 9)) == 0:
        return draw(st.one_of(st.sampled_from(SCALARS), st.integers(-3, 9), st.text(max_size=5)))
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = draw(st.sampled_from(keys))
    change = draw(st.sampled_from(["deeper"] * 12 + ["leave out", "exchange", "new"]))
    if change == "deeper":
        tree[key] = _changed(tree[key], draw)
    elif change == "leave out":
        del tree[key]
    elif change == "exchange":
        tree[key] = tree[draw(st.sampled_from(keys))]
    elif isinstance(tree, dict):
        tree[draw(st.sampled_from(["x", "class_name", "module", "compile_config", "registered_name"]))] = tree[key]
    else:
        tree.append(tree[key])
    return tree


def damage_hdf5(content: bytes, draw: Draw) -> bytes:
    """Arrays of other shapes and types, links, arrays elsewhere, attributes changed or left out."""
    held = io.BytesIO(content)
    with h5py.File(held, "a") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            item = draw(st.sampled_from(items))
            if draw(st.booleans()) and len(item.attrs):
                _change_attribute(item, draw)
            elif item.name != "/" and item:
                _change_item(item, draw)
    return held.getvalue()


def _change_attribute(item: Any, draw: Draw) -> None:
    name = draw(st.sampled_from(sorted(item.attrs)))
    value = item.attrs[name]
    if isinstance(value, (str, bytes)) and draw(st.integers(0, 3)):
        text = value.encode() if isinstance(value, str) else value
        changed = damage_json(text, draw) if text[:1] == b"{" else damage_text(text, draw)
        item.attrs[name] = changed.decode("utf-8", "replace").replace("\0", "")[:60000]
    elif draw(st.booleans()):
        del item.attrs[name]
    else:
        item.attrs[name] = draw(st.sampled_from([7, np.zeros(3), b"x", np.zeros((0,)), np.array([b"a", b"b"]), 1e9]))


def _change_item(item: Any, draw: Draw) -> None:
    parent, name = item.parent, item.name.rpartition("/")[2]
    shape = getattr(item, "shape", (2,))
    del parent[name]
    change = draw(
        st.sampled_from(["none", "number", "text", "group", "link", "soft", "external", "huge", "shape", "nan"])
    )
    if change == "number":
        parent[name] = draw(st.sampled_from([0.0, np.int64(3), True]))
    elif change == "text":
        parent[name] = np.full(shape, b"x")
    elif change == "group":
        parent.create_group(name)
    elif change == "link":
        parent[name] = h5py.ExternalLink("/etc/passwd", "x")
    elif change == "soft":
        parent[name] = h5py.SoftLink(draw(st.sampled_from(["/", "/nothing", parent.name])))
    elif change == "external":
        parent.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
    elif change == "huge":
        parent.create_dataset(name, (10**6, 10**6), "f4", chunks=(64, 64), compression="gzip")
    elif change == "shape":
        parent.create_dataset(name, draw(st.sampled_from([(0,), (1,), shape[::-1], (*shape, 1)])), "f4")
    elif change == "nan":
        parent[name] = np.full(shape, np.nan, draw(st.sampled_from(["f2", "f4", "f8"])))


def damage_archive(content: bytes, draw: Draw) -> bytes:
    """A zip archive with a member changed, renamed, packed, left out or added; its comment changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members, comment = [(name, archive.read(name)) for name in archive.namelist()], archive.comment
    described = [row for row, (name, _) in enumerate(members) if name == "config.json"]
    packing, row = zipfile.ZIP_STORED, draw(st.sampled_from([*range(len(members)), *described * len(members)]))
    name, body = members[row]
    change = draw(st.sampled_from(["member"] * 8 + ["name", "pack", "leave out", "add", "bomb", "comment"]))
    if change == "member":
        kinds = [damage_bytes, *[damage_json] * 4 * name.endswith(".json"), *[damage_hdf5] * 3 * name.endswith(".h5")]
        members[row] = (name, draw(st.sampled_from(kinds))(body, draw))
    elif change == "name":
        members[row] = (draw(st.sampled_from(["../x", "/etc/x", "x", "assets/x", name.upper()])), body)
    elif change == "pack":
        packing = draw(st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
    elif change == "leave out":
        del members[row]
    elif change == "add":
        members.append((draw(st.sampled_from(["../x", name, "more"])), b"x"))
    elif change == "bomb":
        packing = zipfile.ZIP_DEFLATED
        members[row] = (name, b"\0" * (80 << 20))
    else:
        comment = damage_json(comment, draw) if comment else b"{}"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for member, value in members:
            archive.writestr(member, value)
        archive.comment = comment[:60000]
    return out.getvalue()


def damage_graph(content: bytes, draw: Draw, kind: Any) -> bytes:
    """A `GraphDef` or `SavedModel`, the class `kind`, with nodes of other operators and inputs, or without some."""
    message = kind.FromString(content)
    graph = message.meta_graphs[0].graph_def if hasattr(message, "meta_graphs") else message
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    for _ in range(draw(st.sampled_from([1, 1, 2, 5]))):
        nodes = draw(st.sampled_from(bodies))
        if not nodes:
            continue
        node = nodes[draw(st.integers(0, len(nodes) - 1))]
        change = draw(
            st.sampled_from(["operator", "input", "inputs", "attribute", "value", "leave out", "repeat", "name"])
        )
        if change == "operator":
            node.op = draw(st.sampled_from(OPERATORS))
        elif change == "input" and node.input:
            other = nodes[draw(st.integers(0, len(nodes) - 1))].name
            node.input[draw(st.integers(0, len(node.input) - 1))] = draw(
                st.sampled_from([other, "x", "", "^x", f"{other}:7"])
            )
        elif change == "inputs":
            del node.input[:]
        elif change == "attribute" and node.attr:
            del node.attr[draw(st.sampled_from(sorted(node.attr)))]
        elif change == "value" and node.attr:
            name = draw(st.sampled_from(sorted(node.attr)))
            with contextlib.suppress(DecodeError):  # then what was read of the value stays
                node.attr[name].ParseFromString(damage_bytes(node.attr[name].SerializeToString(), draw)[:4096])
        elif change == "leave out":
            nodes.remove(node)
        elif change == "repeat":
            nodes.add().CopyFrom(node)
        else:
            node.name = draw(st.sampled_from(["", "x", node.op]))
    return message.SerializeToString()


def damage_folder(folder: Path, damages: dict[str, Callable[[bytes, Draw], bytes]], draw: Draw) -> None:
    """One file of a folder damaged, in place; now and then one left out, or one more.

    Args:
        folder: a copy, to spoil.
        damages: the end of a file's name → how it is damaged, besides by bytes.
        draw: draws choices.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = draw(st.sampled_from(files))
    change = draw(st.sampled_from(["damage"] * 10 + ["leave out", "folder", "link"]))
    if change == "damage":
        known = [damage for end, damage in damages.items() if path.name.endswith(end)]
        path.write_bytes(draw(st.sampled_from([*known * 3, damage_bytes]))(path.read_bytes(), draw))
        return
    path.unlink()
    if change == "folder":
        path.mkdir()
    elif change == "link":
        path.symlink_to(draw(st.sampled_from(["/dev/zero", "/nowhere", "."])))
