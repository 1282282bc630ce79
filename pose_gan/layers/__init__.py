"""The method's own Keras layers. All are registered: models that use them load after `import pose_gan`."""

from pose_gan.layers.deformable_skip import DeformableSkip
from pose_gan.layers.edge_padding import EdgePadding2D
from pose_gan.layers.instance_normalization import InstanceNormalization
from pose_gan.layers.pose import PartGeometry, PoseLayer, PoseMaps, UniformTransform
from pose_gan.layers.spatial_transformer import SpatialTransformer
from pose_gan.layers.up_conv import UpConv2D

__all__ = [
    "DeformableSkip",
    "EdgePadding2D",
    "InstanceNormalization",
    "PartGeometry",
    "PoseLayer",
    "PoseMaps",
    "SpatialTransformer",
    "UniformTransform",
    "UpConv2D",
]
