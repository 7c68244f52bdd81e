"""Small sources for the tests of readers."""

import io

import numpy as np
from PIL import Image

from foc_tf.formats.tree import Tree


def png(shade=0, size=4):
    buffer = io.BytesIO()
    Image.fromarray(np.full((size, size), shade, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write(folder, files):
    """Tree of a new folder with {name: text, bytes, or None for an image}."""
    for index, (name, content) in enumerate(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = png(index) if content is None else content
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Tree(folder)


def said(collection):
    """{key: {class: votes}} of a collection."""
    table, result = collection.votes(), {key: {} for key in collection.keys}
    for item, c, count in zip(table["item"], table["class"], table["count"]):
        name = collection.classes[c]
        own = result[collection.keys[item]]
        own[name] = own.get(name, 0) + int(count)
    return result
