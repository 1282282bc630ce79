"""What the graphs of TensorFlow would do, from their description alone. Nothing of it is run.

The descriptions are TensorFlow's protocol buffers (`SavedModel`, `GraphDef`), which the caller has parsed. A name that
is no operator of TensorFlow's, such as that of a function called directly, counts as an operator too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError

SAVED_MODEL = "saved_model.pb"  # the file that makes a folder a SavedModel
RUN, SAVE, RESTORE = "run", "save", "restore"
_PLACES = {RUN: "", SAVE: " where it saves variables", RESTORE: " where it restores variables"}

Operators = dict[str, set[str]]


def of_graph(graph: Any) -> Operators:
    """The operators of a `GraphDef` and of the functions in its library, as one part, `run`."""
    functions = [node for function in graph.library.function for node in function.node_def]
    return {RUN: {node.op for node in (*graph.node, *functions)}}


def of_saved_model(saved: Any) -> Operators:
    """The operators of a `SavedModel` by what they are for: to `run` it, to `save` and to `restore` its variables.

    The functions that only the saver calls belong to the last two. All others belong to `run`: those that the saver
    shares with the rest as well, and all of a model in the format of TensorFlow 1, which is restored by running it.
    """
    found: Operators = {RUN: set(), SAVE: set(), RESTORE: set()}
    for meta in saved.meta_graphs:
        second = len(saved.meta_graphs) == 1 and meta.HasField("object_graph_def")
        for part, operators in _of_meta_graph(meta, _savers(meta) if second else {}).items():
            found[part] |= operators
    return found


def check(operators: Operators, allowed: Mapping[str, Collection[str]], where: str, whose: str) -> None:
    """Refuses a graph with other operators than those allowed.

    Args:
        operators: from `of_graph` or `of_saved_model`.
        allowed: for each part the operators that it may hold.
        where: the file, for the message.
        whose: what has no such operators, for the message: `model of this project`.
    Raises: InputError: naming the operators.
    """
    foreign = [
        f"{name[:60]}{_PLACES[part]}"
        for part, names in operators.items()
        for name in sorted(names - set(allowed[part]))
    ]
    if foreign:
        listed = ", ".join(foreign[:8]) + (f" and {len(foreign) - 8} more" if len(foreign) > 8 else "")
        raise InputError(f"{where}: its graph holds {listed}, which no {whose} has; it was not loaded")


def check_folder(path: Path) -> None:
    """Refuses the folder of a SavedModel with a second description of its graph, or with anything but plain files.

    Raises: InputError: naming what it holds.
    """
    for item in path.rglob("*"):
        if not (item.is_file() or item.is_dir()):
            raise InputError(f"{item}: not a plain file; a SavedModel holds none of these; it was not loaded")
        if item.parent == path and item.name.startswith("saved_model.") and item.name != SAVED_MODEL:
            raise InputError(f"{item}: a SavedModel of {SAVED_MODEL} has no second graph; it was not loaded")


def _of_meta_graph(meta: Any, savers: dict[str, str]) -> Operators:
    functions: dict[str, list[Any]] = {}
    for function in meta.graph_def.library.function:
        functions.setdefault(function.signature.name, []).extend(function.node_def)
    nodes: dict[str, list[Any]] = {RUN: [], SAVE: [], RESTORE: []}
    used = {_node(name) for name in _used(meta)}
    for node in meta.graph_def.node:
        if node.name in savers:
            nodes[savers[node.name]].append(node)
        if node.name not in savers or node.name in used:
            nodes[RUN].append(node)
    called = {part: _called(nodes[part], functions) for part in (SAVE, RESTORE)}
    others = functions.keys() - called[SAVE] - called[RESTORE] | functions.keys() & set(_exported(meta))
    nodes[RUN] += [node for name in others for node in functions[name]]
    called[RUN] = _called(nodes[RUN], functions)
    return {
        part: {node.op for node in (*nodes[part], *(node for name in called[part] for node in functions[name]))}
        for part in nodes
    }


def _savers(meta: Any) -> dict[str, str]:
    """The nodes that save and that restore the variables, and which of the two they do."""
    names = ((meta.saver_def.save_tensor_name, SAVE), (meta.saver_def.restore_op_name, RESTORE))
    return {_node(name): part for name, part in names if name}


def _used(meta: Any) -> Iterator[str]:
    """The tensors that other nodes take, that signatures take and give, and that collections name."""
    for node in meta.graph_def.node:
        yield from node.input
    for signature in meta.signature_def.values():
        yield from (tensor.name for tensors in (signature.inputs, signature.outputs) for tensor in tensors.values())
    for collection in meta.collection_def.values():
        yield from collection.node_list.value


def _exported(meta: Any) -> Iterator[str]:
    """The functions that can be called once the model is loaded."""
    yield from meta.object_graph_def.concrete_functions
    for item in meta.object_graph_def.nodes:
        yield from item.function.concrete_functions
        yield item.bare_concrete_function.concrete_function_name


def _called(nodes: Iterable[Any], functions: dict[str, list[Any]]) -> set[str]:
    """The functions that nodes call, and that these call in turn."""
    found: set[str] = set()
    waiting = list(nodes)
    while waiting:
        for name in _names(waiting.pop().attr):
            if name in functions and name not in found:
                found.add(name)
                waiting += functions[name]
    return found


def _names(attributes: Any) -> Iterator[str]:
    """The names of functions among the attributes of a node, or of a function that is one."""
    for value in attributes.values():
        for function in (*([value.func] if value.HasField("func") else []), *value.list.func):
            yield function.name
            yield from _names(function.attr)


def _node(tensor: str) -> str:
    """The node of a tensor's name: `^node`, `node:0` and `node` are of `node`."""
    return tensor.removeprefix("^").partition(":")[0]
