"""The paper's plankton images with every annotator's vote, from DCIC's archive."""
