"""From encoded images to rows: the models that serve, one process that can be stopped, Beam."""
