"""TensorFlow Datasets builders: one package each, found by name (`tfds:fuzzy_plankton`)."""
