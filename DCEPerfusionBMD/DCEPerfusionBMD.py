"""The DCEPerfusionBMD module of 3D Slicer: a thin shell over DCEPerfusionBMDLib, which is imported inside methods."""

import sys

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

#
# DCEPerfusionBMD
#


class DCEPerfusionBMD(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("DCE Perfusion BMD")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = ["Sequences", "Segmentations", "Tables"]
        self.parent.contributors = ["DCEPerfusionBMD developers"]
        self.parent.helpText = _("""
Quantitative dynamic contrast-enhanced MRI of lumbar vertebral marrow, next to bone mineral density.
See the <a href="https://github.com/DCEPerfusionBMD/SlicerDCEPerfusionBMD#readme">documentation</a>.
<p>For research use only. Not for use in diagnostic procedures.</p>
""")
        self.parent.acknowledgementText = _("""
The method follows Huang Z, Lin Q, Wang J, Zhan Z, Tu X. Relationship between quantitative parameters of lumbar
vertebral perfusion and bone mineral density (BMD) in postmenopausal women. Adv Clin Exp Med. 2019;28(8):1005-1011.
""")


#
# DCEPerfusionBMDWidget
#


class DCEPerfusionBMDWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None

    def setup(self):
        """Build the panel; called when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/DCEPerfusionBMD.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = DCEPerfusionBMDLogic()

    def cleanup(self):
        """Stop observing; called before the panel is destroyed."""
        self.removeObservers()

    def onReload(self):
        """Reload the module together with its library, which Python would otherwise keep as it was."""
        for name in list(sys.modules):
            if name.partition(".")[0] == "DCEPerfusionBMDLib":
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


#
# DCEPerfusionBMDLogic
#


class DCEPerfusionBMDLogic(ScriptedLoadableModuleLogic):
    """What the module can do without its panel."""

    def libraryVersion(self):
        """Version of the library beside the module."""
        import DCEPerfusionBMDLib

        return DCEPerfusionBMDLib.__version__


#
# DCEPerfusionBMDTest
#


class DCEPerfusionBMDTest(ScriptedLoadableModuleTest):
    """The module's self test, run inside Slicer."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_libraryImports()

    def test_libraryImports(self):
        """The library beside the module is the one that is used, and its parts import with what Slicer bundles."""
        import importlib
        from pathlib import Path

        import DCEPerfusionBMDLib

        self.assertRegex(DCEPerfusionBMDLogic().libraryVersion(), r"^\d+\.\d+\.\d+")
        moduleDirectory = Path(slicer.util.modulePath("DCEPerfusionBMD")).parent
        self.assertTrue(Path(DCEPerfusionBMDLib.__file__).parent.samefile(moduleDirectory / "DCEPerfusionBMDLib"))
        for name in ("settings", "quantities", "tables", "kinetics", "study", "dicomio", "scene"):
            importlib.import_module("DCEPerfusionBMDLib." + name)
