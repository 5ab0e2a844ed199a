"""Packed sequences of a finished run, written as other trainers read them: `export_data`, and one file a format."""

from pipeline.export.exported import Exported, export_data
from pipeline.export.formats import FORMATS, Format

__all__ = ["FORMATS", "Exported", "Format", "export_data"]
