"""Checks of model files that may be hostile. A file's content is checked before any part of it is made or run.

A file passes if it holds only what the models of this project hold. `docs/security.md` says what the checks leave open.
"""

from __future__ import annotations

from pathlib import Path

from tensorflow.core.protobuf import saved_model_pb2

from pose_gan.errors import InputError
from pose_gan.files import graphs, keras_files

_WHOSE = "model of this project"

# The classes of which our models are made. Other classes may run code of the file's author (Lambda) or read files.
_STOCK = ("Activation", "Concatenate", "Conv2D", "Cropping2D", "Dense", "Dropout", "Flatten", "LeakyReLU", "ReLU")
_STOCK += ("ZeroPadding2D",)
_OURS = ("DeformableSkip", "EdgePadding2D", "InstanceNormalization", "PartGeometry", "PoseMaps", "SpatialTransformer")
_OTHERS = ("Functional", "Model", "InputLayer", "DTypePolicy", "Constant", "GlorotUniform", "Ones", "Zeros")
PARTS = {*_STOCK, *_OURS, "UniformTransform", "UpConv2D", *_OTHERS, "__keras_tensor__", "__numpy__"}
MODULES = (None, "keras", "keras.layers", "keras.initializers", "keras.models", "keras.src.models.functional")
MODULES += ("builtins", "pose_gan.layers", "pose_gan.upsampling")  # version 0.1 wrote the last one

_RUN = """
    Abs AddN AddV2 All Any BatchMatMulV2 BiasAdd Cast Ceil ConcatV2 Const Conv2D Conv2DBackpropInput DenseBincount
    DepthToSpace DivNoNan EnsureShape Equal Exp ExpandDims ExtractImagePatches Fill Floor GatherNd GatherV2 Greater
    GreaterEqual Identity IdentityN LeakyRelu Less LessEqual LogicalAnd LogicalNot LogicalOr MatMul MatrixDiagV3 Max
    Maximum Mean Minimum Mul Neg NoOp NotEqual OnesLike Pack Pad Placeholder Range ReadVariableOp RealDiv Relu
    Reshape Round Rsqrt SegmentMax SegmentSum SelectV2 Shape Sign Size SparseMatrixMatMul
    SparseTensorToCSRSparseMatrix Sqrt Square SquaredDifference Squeeze StatefulPartitionedCall StatelessIf
    StopGradient StridedSlice Sub Sum Tanh Tile Transpose Unpack VarHandleOp Where ZerosLike
"""
_SAVE = """
    Const DisableCopyOnRead Identity MergeV2Checkpoints NoOp Pack ReadVariableOp SaveV2 Select ShardedFilename
    StatefulPartitionedCall StaticRegexFullMatch StringJoin
"""
_RESTORE = "AssignVariableOp Const Identity NoOp RestoreV2 StatefulPartitionedCall"
OPERATORS = {graphs.RUN: {*_RUN.split()}, graphs.SAVE: {*_SAVE.split()}, graphs.RESTORE: {*_RESTORE.split()}}
"""Every operator of the SavedModels that this project writes, whatever their settings, and no other."""


def check_parts(path: Path) -> None:
    """Refuses a `.h5` or `.keras` file with a part that our models do not have, before any part of it is made.

    Raises: InputError: the file has such a part, leads to other files, unpacks to far more than it weighs, or is
        damaged.
    """
    keras_files.check(path, PARTS, MODULES, _WHOSE)


def check_operators(path: Path) -> None:
    """Refuses a SavedModel whose graph has an operator that our exports do not have, or has one in another place.

    Operators that save and restore variables may stand only where the saver needs them.

    Raises: InputError: the graph has such an operator, or the folder is damaged or holds something else than
        plain files.
    """
    graphs.check_folder(path)
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / graphs.SAVED_MODEL).read_bytes())
    except Exception as error:  # protobuf's DecodeError
        raise damaged(path, "a SavedModel", error) from None
    graphs.check(graphs.of_saved_model(saved), OPERATORS, str(path), _WHOSE)


def damaged(path: Path, kind: str, error: Exception) -> InputError:
    """The error for a model file that cannot be read."""
    return keras_files.damaged(path, f"{kind} of this project", error)
