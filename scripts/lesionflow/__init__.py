"""The pure code of lesionflow: arrays and images in, arrays and tables out."""

__version__ = "0.1.0"
