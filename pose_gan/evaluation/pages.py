"""HTML pages that contain their pictures, so that they open from disk without network and scripts."""

from __future__ import annotations

import base64
import io

import imageio.v3 as iio
import jinja2
import numpy as np


def page_template(name: str, package: str = "pose_gan.evaluation") -> jinja2.Template:
    """A page of the folder `templates` of a package. What is put into it is escaped.

    Pages of all packages may include what stands in the folder of `pose_gan.evaluation`.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(wing) for wing in (package, "pose_gan.evaluation")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def data_url(picture: np.ndarray | bytes) -> str:
    """A picture as the address of an image in a page; it is uint8 `(H, W, 3)`, or the content of a PNG file."""
    if not isinstance(picture, bytes):
        buffer = io.BytesIO()
        iio.imwrite(buffer, picture, extension=".png")
        picture = buffer.getvalue()
    return "data:image/png;base64," + base64.b64encode(picture).decode()
