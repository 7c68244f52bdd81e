"""What a finished run leaves in `<workdir>/review_data` for those who look at it later.

A review needs what predictions.csv has not: votes, features and pictures. They are kept when a run
is scored, not fetched when it is reviewed, because only then they are all at hand: features need
the model, and votes and pictures a reader for each kind of data set (folders, shards, TFDS, the
embedded digits), some of which load TensorFlow. So a review reads a few plain files, whatever the
data set was, starts at once, and works after the data set was moved or on another machine.

- `about.json`: classes, licence, source, number of clusters, and a digest of the images' names.
- `arrays.npz`: votes, training labels, features as at most 32 principal components.
- `thumbnails.bin`: all pictures, small, in one file (`thumbnails`).

What that costs stands beside `thumbnails.SIDE`. Pictures made at the first review would cost
nothing in runs that nobody looks at, but could not be made once the data set has moved.

The pictures are copies of the data set's images and under its licence, which `about.json` repeats:
who may not pass on the images may not pass on the workdir either.
"""
