"""Makes docs/images/phantom-result.png and the picture of the sample data, with slicer-core; no desktop is needed.

    python docs/make_images.py

A sagittal slice view of Slicer's own making shows the Ktrans map of the phantom over its anatomy, with the outlines of
the segments and the color legend.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from pathlib import Path
from typing import Any

import slicer
import vtk
from DCEPerfusionBMDLib import scene, study
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.phantom import LumbarPhantom
from DCEPerfusionBMDLib.scenestudy import write_phantom

REPOSITORY = Path(__file__).resolve().parents[1]
RESULT = REPOSITORY / "docs" / "images" / "phantom-result.png"
THUMBNAIL = REPOSITORY / "DCEPerfusionBMD" / "Resources" / "Icons" / "LumbarPhantom.png"


def slice_view(host: HeadlessSlicer, size: tuple[int, int], draw: Any) -> Any:
    """The picture of a sagittal slice view as vtkImageData; `draw(slice_logic)` sets what it shows."""
    application = host.application
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(host.scene, True)
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(application)
    logic.SetMRMLScene(host.scene)
    node = logic.AddSliceNode("Yellow")
    node.SetOrientation("Sagittal")
    node.SetDimensions(*size, 1)
    logics = vtk.vtkCollection()
    logics.AddItem(logic)
    application.SetSliceLogics(logics)
    node.SetMappedInLayout(1)
    window, renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
    window.SetOffScreenRendering(1)
    window.SetSize(*size)
    window.SetMultiSamples(0)
    window.AddRenderer(renderer)
    interactor = vtk.vtkRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(application)
    for name in ("vtkMRMLVolumeGlyphSliceDisplayableManager", "vtkMRMLSegmentationsDisplayableManager2D"):
        if hasattr(slicer, name) and not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    legend = "vtkMRMLColorLegendDisplayableManager"
    if not factory.IsDisplayableManagerRegistered(legend):
        factory.RegisterDisplayableManager(legend)
    mapper, actor = vtk.vtkImageMapper(), vtk.vtkActor2D()  # first, so that the others are drawn over it
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    actor.SetMapper(mapper)
    renderer.AddViewProp(actor)
    group = factory.InstantiateDisplayableManagers(renderer)
    group.SetMRMLDisplayableNode(node)
    draw(logic)
    node.UpdateMatrices()
    logic.UpdatePipeline()
    mapper.SetInputConnection(logic.GetImageDataConnection())
    window.Render()
    window.Render()
    grabbed = vtk.vtkWindowToImageFilter()
    grabbed.SetInput(window)
    grabbed.ReadFrontBufferOff()
    grabbed.Update()
    picture = vtk.vtkImageData()
    picture.DeepCopy(grabbed.GetOutput())
    group.SetMRMLDisplayableNode(None)
    return picture


def save(picture: Any, path: Path) -> None:
    """Write a picture as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(picture)
    writer.Write()


def main() -> None:
    if ctypes.util.find_library("EGL") is None:  # without it rendering ends the process
        sys.exit("libEGL is needed (Debian: apt-get install libegl1 libgl1-mesa-dri)")
    host = HeadlessSlicer()
    colors = slicer.vtkSlicerColorLogic()
    colors.SetMRMLApplicationLogic(host.application)
    colors.SetMRMLScene(host.scene)
    phantom = LumbarPhantom()
    series = phantom.series()
    frames = list(series.frames)
    inputs = write_phantom(host.scene, phantom, frames, "Lumbar DCE-MRI (phantom)")
    masks = scene.masks_on_grid(inputs["segmentation"], series)
    result = study.analyze(series, masks)
    nodes = scene.ResultWriter(host.scene, inputs["series"], inputs["segmentation"]).write(series, result)
    anatomy = host.scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode").GetProxyNode(inputs["series"])
    display = inputs["segmentation"].GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(3)

    def draw(logic: Any) -> None:
        composite = logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(anatomy.GetID())
        composite.SetForegroundVolumeID(nodes["map.ktrans"].GetID())
        composite.SetForegroundOpacity(1.0)
        logic.FitSliceToBackground()
        node = logic.GetSliceNode()
        field = node.GetFieldOfView()
        node.SetFieldOfView(field[0] * 0.72, field[1] * 0.72, field[2])
        logic.SetSliceOffset(2.5)
        legend = colors.AddDefaultColorLegendDisplayNode(nodes["map.ktrans"])  # now that the view can notice it
        legend.SetTitleText("Ktrans (/min)")
        legend.SetLabelFormat("%.2f")
        legend.SetSize(0.14, 0.5)
        legend.SetPosition(0.97, 0.5)

    picture = slice_view(host, (700, 760), draw)
    save(picture, RESULT)
    smaller = vtk.vtkImageResize()
    smaller.SetInputData(picture)
    smaller.SetOutputDimensions(258, 280, 1)
    smaller.Update()
    save(smaller.GetOutput(), THUMBNAIL)


if __name__ == "__main__":
    main()
