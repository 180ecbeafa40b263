"""The version of Assay: read by the build and by every record."""

VERSION = "0.1.0"
