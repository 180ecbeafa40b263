"""The version of Assay, in this one place: the build and every record read it from here."""

VERSION = "0.1.0"
