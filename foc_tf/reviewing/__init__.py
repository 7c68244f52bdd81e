"""Reading finished runs for review: what their clusters hold, the report page.

Nothing here imports TensorFlow: a review starts in a second, on any machine, with the workdir only.
"""
