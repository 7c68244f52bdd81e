"""Finds a TFDS builder by its name, foc_tf's own among them, and gets its data."""

import contextlib
import difflib
import importlib
import importlib.util
import logging
import pathlib
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """TFDS warns of its own deprecated calls; errors still show."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def find(name: str, data_dir: pathlib.Path | str | None = None) -> "tfds.core.DatasetBuilder":
    """The builder of a name, with no data got yet.

    Args:
      name: as TFDS has it, `cifar10`, `cifar10:3.0.2`, or a package of foc_tf.datasets,
        `fuzzy_plankton/slice2`.
      data_dir: TFDS's folder, its own default if None.

    Returns:
      `tfds.core.DatasetBuilder`.

    Raises:
      ValueError: if there is no such data set, configuration or version.
    """
    import tensorflow_datasets as tfds

    base = re.split("[/:]", name)[0]
    own = f"foc_tf.datasets.{base}.{base}_dataset_builder"
    if base.isidentifier() and _is_module(own):
        # The import registers the builder, so that TFDS finds it by its name.
        importlib.import_module(own)
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        near = difflib.get_close_matches(base, tfds.list_builders(with_community_datasets=False))
        raise ValueError(
            f"dataset: expected tfds:NAME of tensorflow.org/datasets/catalog, found {name!r}. "
            f"{'Did you mean ' + ' or '.join(near) + '?' if near else 'See tfds.list_builders().'}"
        ) from None
    except Exception as error:  # anything may come out of a foreign builder
        raise ValueError(
            f"dataset: tfds:{name} cannot be set up ({_reason(error)}). Check its configuration "
            "and version."
        ) from error


def _is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of its package
        return False


def _reason(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"


def obtain(
    builder: "tfds.core.DatasetBuilder",
    beam_runner: str | None = None,
    beam_options: Sequence[str] = (),
) -> None:
    """Downloads and generates what is not there yet.

    Files that are fetched by hand lie in `<data_dir>/downloads/manual`, TFDS's place, or, where the
    builder says which files it wants (`MANUAL_FILES`), in `<data_dir>`.

    Args:
      builder: of `find`.
      beam_runner: for builders that generate with Apache Beam, e.g. "DirectRunner".
      beam_options: Beam's flags, e.g. ["--direct_num_workers=2"].

    Raises:
      ValueError: if the data cannot be had; names the reason and where to put what.
    """
    import tensorflow_datasets as tfds

    root = pathlib.Path(builder.data_dir_root)
    by_hand = getattr(builder, "MANUAL_FILES", ())
    in_root = any((root / file).exists() for file in by_hand)
    manual = root if in_root else root / "downloads" / "manual"
    config = tfds.download.DownloadConfig(manual_dir=manual, beam_runner=beam_runner)
    if beam_runner:
        config = config.replace(beam_options=_beam_options(beam_options))
    try:
        if not builder.is_prepared() and not any(root.glob("downloads/*")):
            _check_network(builder)
        builder.download_and_prepare(download_config=config)
    except Exception as error:  # network, checksums, disk, and whatever a foreign builder raises
        how = " ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split())
        raise ValueError(
            f"dataset: tfds:{builder.info.full_name} is not in {root} and could not be prepared "
            f"({_reason(error)}). It needs a network once, or --data_dir of a TFDS folder that "
            f"has it. {how} Manual folder: {manual}."
        ) from error


def _check_network(builder):
    """ConnectionError if no host of the data is known here: TFDS alone would retry for minutes."""
    by_hand = getattr(builder, "MANUAL_FILES", ())
    if urllib.request.getproxies() or any((builder.data_dir_root / f).exists() for f in by_hand):
        return  # a proxy looks names up itself
    urls = getattr(builder, "URLS", None) or builder.url_infos or ()
    hosts = {urllib.parse.urlsplit(url).hostname for url in urls} - {None}
    for host in hosts:
        with contextlib.suppress(OSError):
            socket.getaddrinfo(host, 443)
            return
    if hosts:
        raise ConnectionError(f"no network: {', '.join(sorted(hosts)[:3])} cannot be found")


def _beam_options(options):
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise ValueError(
            "beam_runner: expected Apache Beam, found none. Run: pip install foc_tf[beam]"
        ) from None
    # Without a list Beam would read the flags of our own command line.
    return PipelineOptions(list(options))
