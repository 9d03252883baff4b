"""Slicer's scene without the desktop, on slicer-core: the one file of the library that the desktop never imports."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from .errors import InputError

try:
    import slicer
    import vtk
except ModuleNotFoundError as error:
    raise InputError(
        "slicer-core is not installed; install this package with its 'headless' extra (wheels exist for Python 3.10 to "
        "3.13 on Linux x86_64, macOS arm64 and Windows x86_64)"
    ) from error
except ImportError as error:
    raise InputError(f"slicer-core is installed, but cannot be loaded: {error}") from error

_LOGICS = (
    ("vtkMRMLColorLogic", "Colors"),
    ("vtkSlicerSubjectHierarchyModuleLogic", "SubjectHierarchy"),
    ("vtkSlicerSegmentationsModuleLogic", "Segmentations"),
    ("vtkSlicerVolumesLogic", "Volumes"),
    ("vtkSlicerSequencesLogic", "Sequences"),
    ("vtkSlicerTablesLogic", "Tables"),
    ("vtkSlicerPlotsLogic", "Plots"),
    ("vtkSlicerTextsLogic", "Texts"),
    ("vtkSlicerUnitsLogic", "Units"),
)


class HeadlessSlicer:
    """A MRML scene with the logics that register its node classes.

    Attributes
    ----------
    scene : vtkMRMLScene.
    application : vtkSlicerApplicationLogic of the scene.
    """

    def __init__(self) -> None:
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        self.scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        self._kept: list[Any] = []
        for class_name, module in _LOGICS:
            logic = getattr(slicer, class_name)()
            logic.SetMRMLApplicationLogic(self.application)
            logic.SetMRMLScene(self.scene)
            self.application.SetModuleLogic(module, logic)
            self._kept.append(logic)

    def save(self, path: Path) -> None:
        """Write the scene with all its data to a `.mrb` file."""
        if not self.scene.WriteToMRB(str(path.absolute())):  # it refuses relative paths
            raise OSError(f"cannot write the scene to {path}")

    def load(self, path: Path) -> None:
        """Read a `.mrb` file into the scene.

        Raises
        ------
        InputError
            when the file is no scene.
        """
        with tempfile.TemporaryDirectory() as cache:
            remote = slicer.vtkMRMLRemoteIOLogic()
            remote.SetMRMLScene(self.scene)
            remote.SetMRMLApplicationLogic(self.application)
            remote.GetCacheManager().SetRemoteCacheDirectory(cache)
            manager = slicer.vtkDataIOManagerLogic()
            manager.SetMRMLScene(self.scene)
            manager.SetMRMLApplicationLogic(self.application)
            manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
            remote.AddDataIOToScene()
            messages = slicer.vtkMRMLMessageCollection()
            if not self.scene.ReadFromMRB(str(path.absolute()), True, messages):
                raise InputError(f"cannot read the scene {path.name}: {messages.GetAllMessagesAsString().strip()}")
