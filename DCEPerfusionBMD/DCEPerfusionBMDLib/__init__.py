"""Quantitative DCE-MRI of lumbar vertebral marrow: the library behind the DCEPerfusionBMD module of 3D Slicer.

For research use only.
"""

__version__ = "0.1.0"
