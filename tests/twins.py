"""Slow NumPy twins of `pose_gan.geometry`, `pose_gan.layers` and `pose_gan.losses`.

They are written from the specification, not from the code they check: float64, one sample at a
time, loops wherever a loop is the plainest form. Nothing but tests imports them.
"""

from __future__ import annotations

import math

import numpy as np

from pose_gan.poses.skeleton import COCO18, Part, Skeleton

NO_TRANSFORM = (1.0, 0.0, 1000.0, 0.0, 1.0, 1000.0, 0.0, 0.0)


# Geometry -----------------------------------------------------------------------------------------


def point(pose: np.ndarray, joint: str, skeleton: Skeleton) -> np.ndarray | None:
    """A joint as float64 (x, y), or None if either coordinate is −1."""
    y, x = (float(value) for value in pose[skeleton.index(joint)])
    return None if y == -1 or x == -1 else np.array([x, y])


def scale(pose: np.ndarray, skeleton: Skeleton) -> float | None:
    """`st`: root of the mean squared length of the sides whose two joints are found."""
    squares = []
    for first, second in skeleton.scale_sides:
        a, b = point(pose, first, skeleton), point(pose, second, skeleton)
        if a is not None and b is not None:
            squares.append((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)
    return math.sqrt(sum(squares) / len(squares)) if squares else None


def rectangle(
    pose: np.ndarray, joints: tuple[str, str], part: Part, far: float, skeleton: Skeleton
) -> np.ndarray | None:
    """The limb's quadrilateral: four (x, y) corners, or None if it has none."""
    a, b, st = point(pose, joints[0], skeleton), point(pose, joints[1], skeleton), scale(pose, skeleton)
    if a is None or b is None or st is None:
        return None
    near_end = a + part.near * (a - b)
    far_end = b + far * (b - near_end)
    along = near_end - far_end
    length = math.hypot(along[0], along[1])
    if length == 0:
        return None
    across = part.size * st * np.array([-along[1], along[0]]) / length
    return np.array([near_end + across, near_end - across, far_end - across, far_end + across])


def fill_limb(corners: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """As `fill_polygon`, with x and y exchanged in the rule: rays go down, not right."""
    return fill_polygon(corners[:, ::-1], (image_size[1], image_size[0])).T


def fill_polygon(corners: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """The half-open even-odd rule on pixel centres: bool (H, W) for (x, y) corners."""
    height, width = image_size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    inside = np.zeros((height, width), bool)
    for number in range(len(corners)):
        xi, yi = corners[number]
        xj, yj = corners[number - 1]
        if yi == yj:
            continue
        crosses = ((yi <= y) & (y < yj)) | ((yj <= y) & (y < yi))
        inside ^= crosses & (x < (xj - xi) * (y - yi) / (yj - yi) + xi)
    return inside


def distance_to_segment(a: np.ndarray, b: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Distance of each pixel centre to the segment from a to b, (x, y): float64 (H, W)."""
    height, width = image_size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    along = b - a
    squared = float(along @ along)
    position = 0.0 if squared == 0 else np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / squared, 0, 1)
    return np.hypot(x - a[0] - position * along[0], y - a[1] - position * along[1])


def distance_to_border(corners: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Distance of each pixel centre to the outline of a polygon: float64 (H, W)."""
    sides = [distance_to_segment(corners[n], corners[n - 1], image_size) for n in range(len(corners))]
    return np.min(sides, axis=0)


def heatmaps(
    keypoints: np.ndarray, image_size: tuple[int, int], sigma: float = 6.0, skeleton: Skeleton = COCO18
) -> np.ndarray:
    height, width = image_size
    result = np.zeros((len(keypoints), height, width, skeleton.num_joints))
    y, x = np.mgrid[:height, :width].astype(np.float64)
    for b, pose in enumerate(keypoints):
        for j, name in enumerate(skeleton.joints):
            centre = point(pose, name, skeleton)
            if centre is not None:
                result[b, :, :, j] = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2))
    return result


def part_mask(pose: np.ndarray, part: Part, image_size: tuple[int, int], skeleton: Skeleton) -> np.ndarray:
    """The mask of one part in one pose: bool (H, W)."""
    height, width = image_size
    mask = np.zeros((height, width), bool)
    if part.kind == "whole":
        return ~mask
    if part.kind == "limb":
        corners = rectangle(pose, (part.joints[0], part.joints[1]), part, part.mask_far, skeleton)
        return mask if corners is None else fill_limb(corners, image_size)
    st = scale(pose, skeleton)
    points = [p for p in (point(pose, joint, skeleton) for joint in part.joints) if p is not None]
    if points and st is not None:
        x, y = (int(value) for value in np.mean(points, axis=0))
        r = int(part.size * st)
        for row in range(y - r, y + r):
            for column in range(x - r, x + r):
                if 0 <= row < height and 0 <= column < width:
                    mask[row, column] = True
    return mask


def part_masks(keypoints: np.ndarray, image_size: tuple[int, int], skeleton: Skeleton = COCO18) -> np.ndarray:
    return np.array(
        [[part_mask(pose, part, image_size, skeleton) for part in skeleton.parts] for pose in keypoints], np.float64
    )


def fit(target: list[np.ndarray], source: list[np.ndarray]) -> np.ndarray:
    """Ordinary least squares, target (x, y) → source (x, y): 8 numbers."""
    if len(target) >= 3:
        design = np.column_stack([np.array(target), np.ones(len(target))])
        if np.linalg.matrix_rank(design - [*design[:, :2].mean(axis=0), 0], tol=1e-6) == 3:
            solution, *_ = np.linalg.lstsq(design, np.array(source), rcond=None)
            if abs(np.linalg.det(solution[:2])) > 1e-9:
                return np.array([*solution[:, 0], *solution[:, 1], 0, 0])
    return np.array(NO_TRANSFORM)


def found_in_both(
    source: np.ndarray, target: np.ndarray, joints: tuple[str, ...], skeleton: Skeleton
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(target, source) points of the joints found in both poses."""
    pairs = [(point(target, joint, skeleton), point(source, joint, skeleton)) for joint in joints]
    return [(t, s) for t, s in pairs if t is not None and s is not None]


def part_transform(source: np.ndarray, target: np.ndarray, part: Part, skeleton: Skeleton) -> np.ndarray:
    """One part's map from target (x, y) to source (x, y): 8 numbers."""
    if part.kind == "limb":
        first, second = part.joints
        to = rectangle(target, (first, second), part, part.transform_far, skeleton)
        if any(point(source, joint, skeleton) is None for joint in part.joints):
            first, second = skeleton.mirror(first), skeleton.mirror(second)
        fr = rectangle(source, (first, second), part, part.transform_far, skeleton)
        return np.array(NO_TRANSFORM) if to is None or fr is None else fit(list(to), list(fr))
    pairs = found_in_both(source, target, part.joints, skeleton)
    if part.kind == "square" and pairs:
        pairs += found_in_both(source, target, part.anchors, skeleton)
    return fit([t for t, _ in pairs], [s for _, s in pairs])


def part_transforms(source: np.ndarray, target: np.ndarray, skeleton: Skeleton = COCO18) -> np.ndarray:
    return np.array(
        [[part_transform(s, t, part, skeleton) for part in skeleton.parts] for s, t in zip(source, target, strict=True)]
    )


def uniform_transform(source: np.ndarray, target: np.ndarray, skeleton: Skeleton = COCO18) -> np.ndarray:
    joints = skeleton.required + skeleton.uniform_optional
    result = []
    for s, t in zip(source, target, strict=True):
        pairs = found_in_both(s, t, joints, skeleton)
        result.append([fit([p for p, _ in pairs], [p for _, p in pairs])])
    return np.array(result)


def stickman(keypoints: np.ndarray, image_size: tuple[int, int], skeleton: Skeleton = COCO18) -> np.ndarray:
    result = np.zeros((len(keypoints), *image_size, 3))
    radius = int(3 * image_size[1] / 128)
    for b, pose in enumerate(keypoints):
        for stroke in skeleton.strokes:
            corners = stroke_points(pose, stroke.points, skeleton)
            if corners is None or any(point(pose, joint, skeleton) is None for joint in stroke.requires):
                continue
            if stroke.kind == "fill":
                covered = fill_polygon(corners, image_size)
            else:
                covered = distance_to_segment(corners[0], corners[1], image_size) <= radius + 1e-9
            for channel, colour in enumerate(stroke.colour):
                result[b, :, :, channel] = np.maximum(result[b, :, :, channel], covered * colour)
    return result


def stroke_points(pose: np.ndarray, points: tuple[tuple[str, ...], ...], skeleton: Skeleton) -> np.ndarray | None:
    """The (x, y) points of a stroke, each the mean of its joints; None if one is missing."""
    means = []
    for joints in points:
        found = [point(pose, joint, skeleton) for joint in joints]
        if any(p is None for p in found):
            return None
        means.append(np.mean(np.array(found), axis=0))
    return np.array(means)


# Layers -------------------------------------------------------------------------------------------


def corner_weights(x: float, y: float, interpolation: str) -> list[tuple[int, int, float]]:
    """(row, column, weight) of the pixels that a sample at (x, y) reads, inside the image or not."""
    if interpolation == "nearest":  # ties away from zero
        column, row = (int(math.copysign(math.floor(abs(value) + 0.5), value)) for value in (x, y))
        return [(row, column, 1.0)]
    left, top = math.floor(x), math.floor(y)
    return [
        (top, left, (1 - (x - left)) * (1 - (y - top))),
        (top, left + 1, (x - left) * (1 - (y - top))),
        (top + 1, left, (1 - (x - left)) * (y - top)),
        (top + 1, left + 1, (x - left) * (y - top)),
    ]


def sample(image: np.ndarray, x: float, y: float, interpolation: str) -> np.ndarray:
    """The value of `image` (H, W, C) at (x, y); pixels outside count as 0."""
    value = np.zeros(image.shape[-1])
    for row, column, weight in corner_weights(x, y, interpolation):
        if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
            value += weight * image[row, column]
    return value


def level(
    transforms: np.ndarray, masks: np.ndarray | None, image_size: tuple[int, int], feature_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Transforms (B, P, 2, 3) and masks (B, P, h, w) at the size of the feature map."""
    (height, width), (h, w) = image_size, feature_size
    to_image = np.diag([width // w, height // h, 1])  # (x, y, 1) of the features → of the image
    moved = np.array(transforms, np.float64)[..., :6].reshape(*transforms.shape[:2], 2, 3)
    moved = np.linalg.inv(to_image)[:2, :2] @ moved @ to_image
    if masks is None:
        return moved, np.ones((*transforms.shape[:2], h, w))
    small = np.zeros((*masks.shape[:2], h, w))
    for i in range(h):
        for j in range(w):
            small[:, :, i, j] = masks[:, :, (i * height) // h, (j * width) // w]
    return moved, small


def deformable_skip(
    features: np.ndarray,
    transforms: np.ndarray,
    masks: np.ndarray | None,
    image_size: tuple[int, int],
    aggregation: str = "max",
    interpolation: str = "bilinear",
) -> np.ndarray:
    batch, h, w, channels = features.shape
    moved, small = level(transforms, masks, image_size, (h, w))
    result = np.zeros((batch, h, w, channels))
    for b in range(batch):
        for i in range(h):
            for j in range(w):
                values = []
                for matrix, mask in zip(moved[b], small[b], strict=True):
                    x, y = matrix @ [j, i, 1]
                    values.append(mask[i, j] * sample(features[b], x, y, interpolation))
                if aggregation == "max":
                    result[b, i, j] = np.max(values, axis=0)
                else:
                    result[b, i, j] = np.sum(values, axis=0) / max(small[b, :, i, j].sum(), 1)
    return result


def deformable_skip_gradient(
    features: np.ndarray,
    transforms: np.ndarray,
    masks: np.ndarray | None,
    upstream: np.ndarray,
    image_size: tuple[int, int],
    aggregation: str = "max",
    interpolation: str = "bilinear",
) -> np.ndarray:
    """The adjoint: what `upstream`, the gradient of the output, gives to each feature."""
    batch, h, w, channels = features.shape
    moved, small = level(transforms, masks, image_size, (h, w))
    result = np.zeros((batch, h, w, channels))
    for b, i, j in np.ndindex(batch, h, w):
        places = [matrix @ [j, i, 1] for matrix in moved[b]]
        values = np.array(
            [small[b, p, i, j] * sample(features[b], x, y, interpolation) for p, (x, y) in enumerate(places)]
        )
        for p, (x, y) in enumerate(places):
            if small[b, p, i, j] == 0:
                continue
            share = np.argmax(values, axis=0) == p if aggregation == "max" else 1 / small[b, :, i, j].sum()
            for row, column, weight in corner_weights(x, y, interpolation):
                if 0 <= row < h and 0 <= column < w:
                    result[b, row, column] += weight * share * upstream[b, i, j]
    return result


def instance_norm(
    images: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mode: str, epsilon: float | None = None
) -> np.ndarray:
    """`instance`: gamma and beta (C,); `release`: scalars, statistics over H, W and C together."""
    result = np.zeros(images.shape)
    for b, image in enumerate(images):
        if mode == "release":
            epsilon = 1e-3 if epsilon is None else epsilon
            result[b] = (image - image.mean()) / (image.std() + epsilon) * gamma + beta
            continue
        epsilon = 1e-5 if epsilon is None else epsilon
        for c in range(images.shape[-1]):
            channel = image[:, :, c]
            result[b, :, :, c] = (channel - channel.mean()) / math.sqrt(channel.var() + epsilon) * gamma[c] + beta[c]
    return result


def spatial_transformer(features: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Sampling on normalised coordinates: −1 and 1 are the centres of the outermost pixels."""
    batch, h, w, _ = features.shape
    result = np.zeros(features.shape)
    for b, i, j in np.ndindex(batch, h, w):
        x, y = theta[b].reshape(2, 3) @ [2 * j / (w - 1) - 1, 2 * i / (h - 1) - 1, 1]
        result[b, i, j] = sample(features[b], (x + 1) / 2 * (w - 1), (y + 1) / 2 * (h - 1), "bilinear")
    return result


# Losses -------------------------------------------------------------------------------------------


def nearest_neighbour_loss(
    generated: np.ndarray, target: np.ndarray, window: int = 3, reduction: str = "mean"
) -> float:
    batch, h, w, _ = generated.shape
    radius, total = window // 2, 0.0
    for b, i, j in np.ndindex(batch, h, w):
        distances = []
        for row in range(max(i - radius, 0), min(i + radius, h - 1) + 1):
            for column in range(max(j - radius, 0), min(j + radius, w - 1) + 1):
                distances.append(np.abs(generated[b, i, j] - target[b, row, column]).sum())
        total += min(distances)
    return total / batch / (h * w if reduction == "mean" else 1)


def total_variation(images: np.ndarray) -> float:
    batch, h, w, channels = images.shape
    total = 0.0
    for b, i, j, c in np.ndindex(batch, h - 1, w - 1, channels):
        here, below, right = images[b, i, j, c], images[b, i + 1, j, c], images[b, i, j + 1, c]
        total += ((here - below) ** 2 + (here - right) ** 2) ** 1.25
    return float(total)


# Derivatives --------------------------------------------------------------------------------------


def finite_differences(function, point: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of a scalar function of a float64 array, entry by entry."""
    result = np.zeros(point.shape)
    for index in np.ndindex(*point.shape):
        ahead, behind = point.copy(), point.copy()
        ahead[index] += step
        behind[index] -= step
        result[index] = (function(ahead) - function(behind)) / (2 * step)
    return result
