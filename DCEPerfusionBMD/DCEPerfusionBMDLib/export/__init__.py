"""Results leave the product: files written whole or not at all, tables, provenance."""

from .files import check_output_folder, sha256_of, staged
from .provenance import provenance

__all__ = ["check_output_folder", "provenance", "sha256_of", "staged"]
