"""Look at an image or at a few slices of a volume, in true proportions and grey.

Grey and viridis-like maps read the same for colour-blind eyes. matplotlib is imported late.
"""

import numpy as np

from medlab.errors import BadInput

MOST = 6  # slices side by side that a notebook's width can hold
INCHES = 2.6  # width of one slice


def show_slice(image, window=None, title=None):
    """Show one image and return the figure (end the line with `;` to see it once).

    image: shape (rows, columns), or (rows, columns, 3) for colour. window: the values shown black
    and white, (lowest, highest), in the image's own unit; default: its range.
    """
    return show_slices([image], titles=None if title is None else [title], window=window)


def show_slices(volume, spacing=None, titles=None, window=None):
    """Show up to six slices side by side, evenly chosen, and return the figure.

    volume: shape (slices, rows, columns), or a list of images of any shapes. spacing: millimetres
    between slices, rows and columns, or between rows and columns; default: square pixels.
    titles: one per slice; default: the slice's index. window: the values shown black and white,
    (lowest, highest), the same for all slices; default: the range of those shown.
    Raises BadInput for another shape, spacing or number of titles.
    """
    import matplotlib.pyplot as plt

    images = [np.asarray(image) for image in volume]
    _check(images, titles)
    shown = np.unique(np.linspace(0, len(images) - 1, min(MOST, len(images))).round().astype(int))
    aspect = _aspect(spacing)  # refused before there is a figure
    low, high = window or _range([images[i] for i in shown])
    names = titles if titles is not None else _indices(images)
    size = (INCHES * max(len(shown), 1.5), INCHES + 0.4)
    figure, axes = plt.subplots(1, len(shown), figsize=size, squeeze=False, layout="constrained")
    for axis, i in zip(axes[0], shown, strict=True):
        axis.imshow(images[i], cmap="gray", vmin=low, vmax=high, aspect=aspect)
        axis.set_title(names[i])
        axis.set_axis_off()
    return figure


def _check(images: list, titles) -> None:
    if not images or any(i.ndim != 2 and (i.ndim != 3 or i.shape[2] not in (3, 4)) for i in images):
        shapes = ", ".join(str(image.shape) for image in images[:MOST]) or "none"
        raise BadInput(f"each slice must have shape (rows, columns): got {shapes}")
    if titles is not None and len(titles) != len(images):
        raise BadInput(f"{len(images)} slices need as many titles: got {len(titles)}")


def _indices(images: list) -> list[str]:
    return [f"slice {i}" for i in range(len(images))] if len(images) > 1 else [""]


def _range(images: list) -> tuple[float | None, float | None]:
    values = np.concatenate([image.ravel() for image in images]).astype(float)
    values = values[np.isfinite(values)]
    return (values.min(), values.max()) if values.size else (None, None)


def _aspect(spacing) -> float:
    """Return the height of a pixel over its width."""
    if spacing is None:
        return 1.0
    rows_and_columns = [float(mm) for mm in spacing][-2:]
    if len(spacing) not in (2, 3) or min(rows_and_columns) <= 0:
        raise BadInput(f"spacing is 2 or 3 positive millimetres: got {tuple(spacing)}")
    return rows_and_columns[0] / rows_and_columns[1]
