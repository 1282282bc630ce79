"""Networks of others that may be hostile: what their files hold is looked at before any of it is made or run.

A network passes if it computes its outputs from its inputs and its own weights. One whose graph or layers could read
or write files, use the network, call Python, print or restore other variables does not. `docs/security.md` says what
that leaves open.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError, reason
from pose_gan.files import graphs, hdf5, keras_files

_WHOSE = "network that only computes"

_MATHEMATICS = """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh Atan Atan2 Atanh BatchMatMul BatchMatMulV2
    BatchMatMulV3 Ceil ClipByValue Cos Cosh Cross Cumprod Cumsum DenseBincount Div DivNoNan Einsum Equal Erf Erfc Exp
    Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Inv IsFinite IsInf IsNan L2Loss Less LessEqual LinSpace Log
    Log1p LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Mean Min Minimum Mod Mul MulNoNan Neg NotEqual Pow Prod
    Range RealDiv Reciprocal Rint Round Rsqrt SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum Select SelectV2
    Sigmoid Sign Sin Sinh Sqrt Square SquaredDifference Sub Sum Tan Tanh TruncateDiv TruncateMod UnsortedSegmentMax
    UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum Xdivy Xlogy
"""
_NETWORKS = """
    AvgPool AvgPool3D BatchNormWithGlobalNormalization BiasAdd BiasAddV1 Conv2D Conv2DBackpropInput Conv3D
    CropAndResize DepthwiseConv2dNative Dilation2D Elu ExtractImagePatches FakeQuantWithMinMaxArgs
    FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3
    FusedPadConv2D FusedResizeAndPadConv2D LRN LeakyRelu LogSoftmax MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax
    MirrorPad CombinedNonMaxSuppression NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4
    NonMaxSuppressionV5 Relu Relu6 ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate Selu
    Softmax Softplus Softsign
    DecodeImage DecodeJpeg DecodePng HSVToRGB RGBToHSV
"""
_ARRAYS = """
    BatchToSpace BatchToSpaceND BroadcastArgs BroadcastTo Cast Concat ConcatOffset ConcatV2 Const DepthToSpace Diag
    DiagPart EnsureShape ExpandDims Fill Gather GatherNd GatherV2 Identity IdentityN InvertPermutation MatrixBandPart
    MatrixDiag MatrixDiagPart MatrixDiagPartV3 MatrixDiagV3 MatrixSetDiagV3 OneHot OnesLike Pack Pad PadV2 Placeholder
    PlaceholderWithDefault PreventGradient Rank Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd Shape ShapeN
    Size Slice Snapshot SpaceToBatch SpaceToBatchND SpaceToDepth SparseToDense Split SplitV Squeeze StopGradient
    StridedSlice TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterUpdate Tile TopK TopKV2 Transpose
    Unique UniqueV2 Unpack UnravelIndex Where ZerosLike
"""
_CONTROL = """
    Assert Case ControlTrigger Enter Exit If LoopCond Merge NextIteration NoOp PartitionedCall RandomUniform
    StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile Switch While
    EmptyTensorList TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem
    TensorListLength TensorListPopBack TensorListPushBack TensorListReserve TensorListResize TensorListSetItem
    TensorListStack
    TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3
    TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3
"""
_VARIABLES = """
    AssignAddVariableOp AssignSubVariableOp AssignVariableOp ReadVariableOp ResourceGather VarHandleOp
    VarIsInitializedOp
"""  # of the model itself

COMPUTING = {*f"{_MATHEMATICS}{_NETWORKS}{_ARRAYS}{_CONTROL}".split()}
"""The operators that a frozen graph may hold: their outputs depend on their inputs only."""

SAVED_MODEL = {
    graphs.RUN: COMPUTING | {*_VARIABLES.split()},
    graphs.SAVE: COMPUTING
    | {*_VARIABLES.split()}
    | {"DisableCopyOnRead", "MergeV2Checkpoints", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"},
    graphs.RESTORE: COMPUTING | {*_VARIABLES.split(), "RestoreV2"},
}
"""The operators that a SavedModel may hold, by what they are for."""

_LAYERS = """
    Activation Add Average AveragePooling2D BatchNormalization CenterCrop Concatenate Conv2D Conv2DTranspose Cropping2D
    Dense DepthwiseConv2D Dot Dropout ELU Flatten GaussianDropout GaussianNoise GlobalAveragePooling2D
    GlobalMaxPooling2D GroupNormalization Identity LayerNormalization LeakyReLU MaxPooling2D Maximum Minimum Multiply
    Normalization PReLU Permute ReLU RepeatVector Rescaling Reshape Resizing SeparableConv2D Softmax SpatialDropout2D
    Subtract UnitNormalization UpSampling2D ZeroPadding2D
"""
_OTHER_PARTS = """
    Functional Model Sequential InputLayer DTypePolicy __keras_tensor__ __numpy__ __slice__ __ellipsis__
    Constant GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform Ones Orthogonal RandomNormal
    RandomUniform TruncatedNormal VarianceScaling Zeros
    L1 L1L2 L2 MaxNorm MinMaxNorm NonNeg UnitNorm
    Divide GetItem TrueDivide
"""
PARTS = {*f"{_LAYERS}{_OTHER_PARTS}".split()}
"""The parts that a Keras model may be made of: layers of the library that neither read files nor run code."""

MODULES = {None, "builtins", "keras", "keras.src.ops.numpy"}
MODULES |= {f"keras.{name}" for name in ("layers", "initializers", "regularizers", "constraints", "models")}
MODULES |= {f"keras.src.models.{name}" for name in ("functional", "sequential")}


def check_graph(definition: Any, where: str) -> None:
    """Refuses a frozen graph (`GraphDef`) that does more than compute. Raises InputError naming `where` and what."""
    graphs.check(graphs.of_graph(definition), {graphs.RUN: COMPUTING}, where, _WHOSE)


def check_saved_model(path: Path, where: str) -> None:
    """Refuses the folder of a SavedModel that does more than compute with its own variables.

    Raises: InputError: it does, or the folder is damaged or holds something else than plain files.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    graphs.check_folder(path)
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / graphs.SAVED_MODEL).read_bytes())
    except Exception as error:  # protobuf's DecodeError
        raise InputError(f"{where}: damaged, or not a SavedModel ({reason(error)})") from None
    graphs.check(graphs.of_saved_model(saved), SAVED_MODEL, where, _WHOSE)


def check_keras(path: Path) -> None:
    """Refuses a `.keras` or `.h5` file with a layer that does more than compute.

    Raises: InputError: there is one, the file leads to other files, unpacks to far more than it weighs, or is damaged.
    """
    keras_files.check(path, PARTS, MODULES, _WHOSE)


def load_weights(model: Any, path: str | os.PathLike[str], whose: str) -> None:
    """Loads the weights of a Keras model from an HDF5 file.

    Args:
        model: the model that takes them.
        path: the file; its name ends in `.h5` or `.hdf5`.
        whose: what has such weights, for messages: `VGG-19 without its top`.
    Raises: InputError: there is no such file, it is damaged, leads to other files, unpacks to far more than it weighs,
        or holds the weights of another network.
    """
    if Path(path).suffix not in (".h5", ".hdf5"):
        raise InputError(f"{path}: not the weights of {whose}: a file of weights ends in .h5")
    try:
        with hdf5.opened(path):  # which looks at everything in it
            pass
        model.load_weights(os.fspath(path))
    except Exception as error:  # Keras and h5py raise many kinds for the weights of another network
        raise keras_files.damaged(Path(path), f"the weights of {whose}", error) from None
