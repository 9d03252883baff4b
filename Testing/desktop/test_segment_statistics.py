"""Slicer's own Segment Statistics over our Ktrans map and analyzed segments says what our table says, with its codes.

Its Python files are looked for in Slicer's sources, beside the folder that DCE_SLICER_PYTHON names.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import types
import typing
import unittest
from pathlib import Path

import numpy as np
import slicer
import standin
from DCEPerfusionBMDLib.quantities import KTRANS
from DCEPerfusionBMDLib.scene import ResultWriter, segment_labels
from DCEPerfusionBMDLib.scenestudy import write_phantom
from DCEPerfusionBMDLib.settings import from_dict
from DCEPerfusionBMDLib.study import analyze
from support import small_phantom

PLUGIN = "ScalarVolumeSegmentStatisticsPlugin"


def segment_statistics(app: standin.Application) -> typing.Any:
    """The logic of the module Segment Statistics.

    Raises
    ------
    unittest.SkipTest
        where its sources are absent.
    """
    folder = Path(standin.SLICER_PYTHON).resolve().parents[1] / "Modules" / "Scripted" / "SegmentStatistics"
    if not standin.SLICER_PYTHON or not (folder / "SegmentStatistics.py").is_file():
        raise unittest.SkipTest("DCE_SLICER_PYTHON names no Base/Python beside Modules/Scripted of Slicer's sources")
    # the classes of the application's own libraries are all in slicer-core; the options of the plugins are Qt
    sys.modules.setdefault("vtkSegmentationCorePython", slicer)
    sys.modules.setdefault("vtkITK", types.ModuleType("vtkITK"))
    sys.path.insert(0, str(folder))
    app.as_pythonqt("SegmentStatistics", "SegmentStatisticsPlugins")
    base = importlib.import_module("SegmentStatisticsPlugins.SegmentStatisticsPluginBase").SegmentStatisticsPluginBase
    base.createDefaultOptionsWidget = lambda self: None
    base.updateGuiFromParameterNode = lambda self, caller=None, event=None: None
    base.__del__ = lambda self: None
    logic: typing.Any = importlib.import_module("SegmentStatistics").SegmentStatisticsLogic
    logic.registeredPlugins = [plugin for plugin in logic.registeredPlugins if plugin.__name__ == PLUGIN]
    return logic


class SegmentStatistics(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.app = standin.start()
        cls.logic_class = segment_statistics(cls.app)

    def setUp(self) -> None:
        self.scene = self.app.host.scene
        self.addCleanup(self.app.close_scene)

    def analyzed(self, **groups: typing.Any) -> tuple[dict[str, typing.Any], typing.Any]:
        """Nodes and result of a noisy phantom, in which some voxels have no estimate."""
        phantom = small_phantom(snr=12.0)
        series = phantom.series()
        frames = [np.array(frame) for frame in series.frames]
        holes = np.argwhere(phantom.segments["L3"])[::7]
        for frame in frames:  # without signal there is no concentration
            frame[tuple(holes.T)] = 0
        inputs = write_phantom(self.scene, phantom, frames, "phantom")
        series = dataclasses.replace(series, frames=frames)
        labels = segment_labels(inputs["segmentation"])
        result = analyze(series, phantom.segments, from_dict(groups), labels=labels)
        writer = ResultWriter(self.scene, inputs["series"], inputs["segmentation"])
        return writer.write(series, result), result

    def statistics(self, segmentation: typing.Any, volume: typing.Any) -> typing.Any:
        logic = self.logic_class()
        parameters = logic.getParameterNode()
        parameters.SetParameter("Segmentation", segmentation.GetID())
        parameters.SetParameter("ScalarVolume", volume.GetID())
        logic.computeStatistics()
        return logic

    def test_equals_our_table(self) -> None:
        nodes, result = self.analyzed(regions={"exclude": "none"})
        volume, segmentation = nodes["map.ktrans"], nodes["analyzed"]
        self.assertTrue(np.isnan(result.maps["ktrans"].values[result.rois.regions[2].analyzed]).any())
        logic = self.statistics(segmentation, volume)
        found = logic.getStatistics()
        table = nodes["table.vertebrae"]
        self.assertEqual(len(found["SegmentIDs"]), table.GetNumberOfRows())

        def ours(column: str, row: int) -> float:
            return float(table.GetTable().GetColumnByName(column).GetValue(row))

        for row, segment_id in enumerate(found["SegmentIDs"]):
            region = result.rois.regions[row]
            self.assertEqual(found[segment_id, "Segment"], region.name)
            values = result.maps["ktrans"].values[region.analyzed].astype(float)
            finite = values[np.isfinite(values)]

            def stock(key: str, segment_id: str = segment_id) -> float:
                return float(found[segment_id, f"{PLUGIN}.{key}"])

            self.assertEqual(stock("voxel_count"), finite.size)
            for key, column in (("mean", "ktrans_mean_per_min"), ("stdev", "ktrans_sd_per_min")):
                self.assertAlmostEqual(stock(key) / ours(column, row), 1.0, delta=1e-5)
            # Slicer reads the median off a histogram, between the two middle voxels wherever a bin ends
            low, high = np.sort(finite)[[(finite.size - 1) // 2, finite.size // 2]]
            step = np.ptp(finite) / 1000
            self.assertTrue(low - step < stock("median") < high + step)
            self.assertAlmostEqual(ours("ktrans_median_per_min", row) / np.median(finite), 1.0, delta=1e-5)

    def test_codes(self) -> None:
        nodes, _ = self.analyzed()
        logic = self.statistics(nodes["analyzed"], nodes["map.ktrans"])
        table = self.scene.AddNewNodeByClass("vtkMRMLTableNode")
        logic.exportToTable(table)
        ours = nodes["table.vertebrae"]
        for name in ("DICOM.QuantityCode", "DICOM.UnitsCode"):
            for title, column in (("Mean", "mean"), ("Standard deviation", "sd"), ("Median", "median")):
                stock = table.GetColumnProperty(title, name)
                self.assertEqual(stock, ours.GetColumnProperty(f"ktrans_{column}_per_min", name))
            self.assertIn("126312" if "Quantity" in name else "/min", stock)
        self.assertEqual(KTRANS.dicom.value, "126312")


if __name__ == "__main__":
    unittest.main()
