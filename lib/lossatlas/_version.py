"""The version of the library, which every result records."""

__version__ = "0.2.0"
