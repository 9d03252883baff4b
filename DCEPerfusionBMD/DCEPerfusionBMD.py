"""The DCEPerfusionBMD module of 3D Slicer: a thin shell over DCEPerfusionBMDLib, which is imported inside methods."""

import contextlib
import enum
import logging
import math
import sys
import traceback
import types
from pathlib import Path
from typing import Annotated

import qt
import slicer
import vtk
from DCEPerfusionBMDLib import settings
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLSequenceNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper, parameterPack
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
        slicer.app.loadTranslations(str(Path(__file__).parent / "Resources" / "Translations"))
        self.parent.title = _("DCE Perfusion BMD")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = ["Sequences", "Segmentations", "Tables", "Plots", "Colors", "Markups"]
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
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def onStartupCompleted():
    """Offer what must be there before the module is opened."""
    registerLayout()
    registerSampleData()


def registerLayout():
    """Make our layout known, so that a scene that was saved in it opens with its views."""
    from DCEPerfusionBMDLib import layout

    manager = slicer.app.layoutManager()
    if manager is not None:  # None without a main window
        layout.register(manager.layoutLogic().GetLayoutNode())


SAMPLE_CATEGORY, SAMPLE_NAME = "DCEPerfusionBMD", "Lumbar DCE-MRI (phantom)"


def sampleSource():
    """Our entry in the Sample Data module; None before it is registered."""
    if not hasattr(slicer.modules, "sampleDataSources"):
        return None
    sources = slicer.modules.sampleDataSources
    return next((source for source in sources.get(SAMPLE_CATEGORY, []) if source.sampleName == SAMPLE_NAME), None)


def registerSampleData():
    """Offer the phantom in the Sample Data module; it is made on the spot, nothing is downloaded."""
    import SampleData

    if hasattr(SampleData.SampleDataLogic, "registerCustomSampleDataCategory"):  # from Slicer 5.12 on
        SampleData.SampleDataLogic.registerCustomSampleDataCategory(SAMPLE_CATEGORY, title=_("DCE Perfusion BMD"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=SAMPLE_CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(Path(__file__).parent / "Resources" / "Icons" / "LumbarPhantom.png"),
        uris="https://github.com/DCEPerfusionBMD/SlicerDCEPerfusionBMD",  # one is asked for; it is never read
        fileNames="lumbar-phantom",
        nodeNames=SAMPLE_NAME,
        customDownloader=lambda source: loadSample(),
    )


def loadSample():
    """Make the phantom and show it, as other sample data are shown."""
    logic = DCEPerfusionBMDLogic()
    nodes = logic.loadPhantom()
    slicer.util.setSliceViewerLayers(background=logic.anatomyOf(nodes["series"]), fit=True)
    return nodes


#
# DCEPerfusionBMDParameterNode
#


class LabeledChoice(enum.Enum):
    """The choices of a parameter: stored by name, shown by label; the empty value is "not given"."""

    def label(self):
        return choiceLabel(self.value)


def choiceLabel(value):
    """A choice of a parameter in the words of the user."""
    return {
        "": _("not given"),
        "exact": _("exact"),
        "linear": _("linear (legacy)"),
        "measured": _("measured in the artery"),
        "parker": _("population (Parker)"),
        "georgiou": _("population (Georgiou)"),
        "weinmann": _("population (Weinmann)"),
        "fritz-hansen": _("population (Fritz-Hansen)"),
        "orton2": _("population (Orton 2)"),
        "orton3": _("population (Orton 3)"),
        "dose": _("by the dose"),
        "tail": _("by the measured tail"),
        "all": _("all"),
        "best": _("the most arterial"),
        "tofts": _("Tofts"),
        "extended-tofts": _("extended Tofts"),
        "patlak": _("Patlak"),
        "exchange": _("two-compartment exchange"),
        "linear-tofts": _("linear Tofts"),
        "reference-region": _("reference region"),
        "none": _("none"),
        "given": _("given"),
        "region": _("fitted per region"),
        "voxel": _("fitted per voxel"),
        "3d": _("all directions"),
        "in-plane": _("the slices only"),
        "as-drawn": _("all that is drawn"),
        "body": _("vertebral body"),
        "series": _("whole spine"),
        "vertebra": _("each vertebra"),
        "iscd": _("ISCD: lowest site"),
        "paper": _("paper: lumbar T-score"),
        "site": _("the site named"),
        "reported": _("as reported (one decimal)"),
        "female": _("female"),
        "male": _("male"),
        "pre": _("before menopause"),
        "transition": _("in transition"),
        "post": _("after menopause"),
        "paper-classes": _("the paper's classes"),
        "paper-ages": _("the paper's age groups"),
        "cohort": _("a cohort"),
        "standard": _("standard"),
        "welch-holm": _("Welch's t-tests, corrected by Holm"),
        "games-howell": _("Games-Howell"),
        "dunnett": _("Dunnett"),
        "lsd": _("least significant difference, uncorrected"),
        "fraction": _("fraction"),
        "mL/100mL": _("mL/100 mL"),
    }.get(value, value)


FROM_DATA = "_from_data"
BONE_SITES = ["L1-L4", "L2-L4", "L1", "L2", "L3", "L4", "total hip", "femoral neck"]
_START_VALUES = {
    "repetition_time_ms": 3.5,
    "flip_angle_deg": 15.0,
    "echo_time_ms": 1.2,
    "field_strength_T": 1.5,
    "baseline_frames": 5,
    "t10_tissue_ms": 900.0,
    "t10_blood_ms": 1441.0,
    "t10_reference_ms": 856.0,
    "relaxivity_per_s_mM": 6.3,
    "reference_ktrans_per_min": 0.1,
    "age_years": 60.0,
}
"""What an editor starts at for a parameter whose value is otherwise taken from the data."""
_LARGEST_COUNT = 1000  # an editor needs an upper bound where the library has none
_ONLY_WITH = {"model.delay_s": ("model", "delay", "given"), "densitometry.site": ("densitometry", "mode", "site")}
"""Parameters that are read with one choice of another parameter only."""


def _annotations(parameter):
    """The members of a pack that hold one parameter of the library."""
    name = parameter.name
    if parameter.choices:
        choices = [*([""] if parameter.optional else []), *parameter.choices]
        choice = LabeledChoice(f"{name}_choice", {value or "notGiven": value for value in choices})
        return {name: Annotated[choice, Default(choice(parameter.default or ""))]}
    if parameter.type is str:
        return {name: Annotated[str, Default(parameter.default or "")]}
    if parameter.type is bool:
        return {name: Annotated[bool, Default(parameter.default)]}
    start = _START_VALUES[name] if parameter.optional else parameter.default
    largest = _LARGEST_COUNT if parameter.maximum is None else parameter.maximum
    limits = WithinRange(parameter.type(parameter.minimum), parameter.type(largest))
    members = {name: Annotated[parameter.type, limits, Default(start)]}
    if parameter.optional:
        members[name + FROM_DATA] = Annotated[bool, Default(True)]
    return members


COHORT_PARAMETERS = ("classification", "marks", "ve_unit")
"""What the panel asks of a comparison of subjects; the rest of `CohortSettings` is as the library has it."""


def _packs():
    """A parameter pack for each group of settings of the library, derived from their descriptions."""
    members = {"cohort": {}}
    for parameter in settings.parameters(settings.CohortSettings):
        if parameter.name in COHORT_PARAMETERS:
            members["cohort"].update(_annotations(parameter))
    for parameter in settings.all_parameters():
        members.setdefault(parameter.group, {}).update(_annotations(parameter))
    return types.SimpleNamespace(
        **{
            group: parameterPack(type(f"{group}_pack", (), {"__annotations__": annotations, "__module__": __name__}))
            for group, annotations in members.items()
        }
    )


PACKS = _packs()


@parameterNodeWrapper
class DCEPerfusionBMDParameterNode:
    """Everything the user chooses; the packs hold the settings of the library.

    series - The dynamic series: a sequence, the volume that shows one, or a multivolume.
    segmentation - Vertebrae and artery.
    dxaTable, dxaSubject - Bone densitometry, and whose it is where the table holds several subjects.
    frameTimes, skipFrames - Frame times that go before those of the data, and leading frames to leave out.
    singleSite, singleTScore, singleBmd - A single bone measurement, where there is no table.
    autoUpdate - Whether a changed value leads to a new result.
    cohortTable - Table of many subjects.
    """

    series: vtkMRMLSequenceNode | vtkMRMLScalarVolumeNode | None
    segmentation: vtkMRMLSegmentationNode
    dxaTable: vtkMRMLTableNode
    dxaSubject: str = ""
    frameTimes: str = ""
    skipFrames: Annotated[int, WithinRange(0, 100)] = 0
    singleSite: Annotated[str, Choice(BONE_SITES)] = BONE_SITES[0]
    singleTScore: str = ""
    singleBmd: str = ""
    autoUpdate: bool = False
    acquisition: PACKS.acquisition
    conversion: PACKS.conversion
    arterial_input: PACKS.arterial_input
    model: PACKS.model
    regions: PACKS.regions
    motion: PACKS.motion
    densitometry: PACKS.densitometry
    output: PACKS.output
    cohortTable: vtkMRMLTableNode
    cohort: PACKS.cohort


def settingsOf(parameterNode):
    """The frozen settings of the library that a parameter node describes; InputError where they contradict."""
    values = {}
    for parameter in settings.all_parameters():
        pack = getattr(parameterNode, parameter.group)
        value = getattr(pack, parameter.name)
        value = value.value if isinstance(value, enum.Enum) else value
        if f"{parameter.group}.{parameter.name}" in _ONLY_WITH and not isRead(parameterNode, parameter):
            continue
        if getattr(pack, parameter.name + FROM_DATA, False) or value == (parameter.default or ""):
            continue
        if value != parameter.default:
            values.setdefault(parameter.group, {})[parameter.name] = value
    return settings.from_dict(values)


def cohortSettingsOf(parameterNode):
    """How the subjects of a table are compared, as a parameter node says."""
    values = {name: getattr(parameterNode.cohort, name) for name in COHORT_PARAMETERS}
    return settings.CohortSettings(**{name: value.value for name, value in values.items()})


def isRead(parameterNode, parameter):
    """Whether a parameter has an effect with the other choices."""
    needed = _ONLY_WITH.get(f"{parameter.group}.{parameter.name}")
    return needed is None or getattr(getattr(parameterNode, needed[0]), needed[1]).value == needed[2]


#
# DCEPerfusionBMDWidget
#


class DCEPerfusionBMDWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel."""

    LIVE_DELAY_MS = 250
    TYPING_DELAY_MS = 800

    def __init__(self, parent=None):
        # before the base class, which calls setup() where the widget has no parent
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTag = None
        self._running = False
        self._lastRun = self._resultKey = None
        self._shownInputs = None
        self._shownPair = None
        self._views = None
        self._figuresDeclined = False
        self._hover = None
        self._inputChart = None
        self._shownCurve = None
        self._observed = []
        self._doubted = False
        self._liveTimer = self._inputTimer = self._settleTimer = None
        self._cohortTimer = self._comparedKey = self._observedCohort = None
        self._cohortSaid = []
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        """Build the panel; called when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        try:
            self.logic = DCEPerfusionBMDLogic()
        except RuntimeError as error:  # the library is not the one beside this file
            slicer.util.errorDisplay(str(error), windowTitle=_("DCE Perfusion BMD"))
            return
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/DCEPerfusionBMD.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        from DCEPerfusionBMDLib.desktop import HoverCurve, InputChart, Views

        self._views = Views(slicer.mrmlScene)
        self._hover = HoverCurve(slicer.mrmlScene)
        words = {
            "aif": _("Arterial input"),
            "reference": _("Reference tissue"),
            "time": _("Time (s)"),
            "concentration": _("Contrast agent (mmol/L)"),
        }
        self._inputChart = InputChart(slicer.mrmlScene, words)
        self._liveTimer = timerOf(self.onLiveTimer)
        self._inputTimer = timerOf(self.showArterialInput)
        self._settleTimer = timerOf(self.onSettled)
        self._inputPlot = slicer.qMRMLPlotWidget()
        self._inputPlot.setMRMLScene(slicer.mrmlScene)
        self.ui.inputPlotFrame.layout().addWidget(self._inputPlot)
        self.ui.totalSegmentatorButton.visible = hasattr(slicer.modules, "totalsegmentator")
        header = self.ui.regionsTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        for button, action in (
            (self.ui.loadDicomButton, self.onLoadDicom),
            (self.ui.phantomButton, self.onLoadPhantom),
            (self.ui.segmentEditorButton, self.onSegmentEditor),
            (self.ui.totalSegmentatorButton, self.onTotalSegmentator),
            (self.ui.importDxaButton, self.onImportDxa),
            (self.ui.applyButton, self.onApply),
            (self.ui.layoutButton, self.onLayout),
            (self.ui.exportButton, self.onExport),
            (self.ui.exportDicomButton, self.onExportDicom),
        ):
            button.clicked.connect(action)
        for editor in (
            *(self.ui.frameTimes, self.ui.levels, self.ui.aifSegment, self.ui.referenceSegment),
            *(self.ui.exclude, self.ui.singleTScore, self.ui.singleBmd),
        ):  # what is half typed is not read
            editor.textEdited.connect(self.onTyping)
            editor.editingFinished.connect(self.onSettled)
        self.ui.timesButton.toggled.connect(self.onShowTimes)
        self.ui.timeSource.activated.connect(self.onTimeSourceChosen)
        self.ui.showExcludedButton.toggled.connect(self.onShowExcluded)
        self.ui.warningsButton.toggled.connect(self.onShowWarnings)
        self.ui.hoverCheckBox.toggled.connect(self.onHover)
        self.ui.mapSelector.activated.connect(self.onMapChosen)
        self.ui.tableSelector.activated.connect(self.onTableChosen)
        self.ui.regionSelector.activated.connect(self.onRegionChosen)
        self.ui.dxaSubject.activated.connect(self.onDxaSubjectChosen)
        self.setupCohort()
        self.initializeParameterNode()

    def cleanup(self):
        """Stop observing; called before the panel is destroyed."""
        if self.logic is not None:
            self._hover.stop()
            self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        """Called each time the module is opened."""
        self._shownInputs = None
        if self.logic is not None:
            self.initializeParameterNode()

    def exit(self):
        """Called each time another module is opened."""
        if self.logic is None:
            return
        self.ui.hoverCheckBox.checked = False
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """Called just before the scene is closed."""
        self._hover.stop()
        self.setParameterNode(None)
        self.logic.forget()

    def onSceneEndClose(self, caller, event):
        """Called just after the scene is closed."""
        self.ui.hoverCheckBox.checked = False
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event):
        """Called just after a scene was read: take up what it says, even where the panel is open."""
        self._views.restoreLayout()
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        """Keep our own results out of the choice of inputs."""
        if node is not None and any(node.IsA(f"vtkMRML{kind}Node") for kind in ("Volume", "Segmentation", "Table")):
            self._shownInputs = None
            qt.QTimer.singleShot(0, self.hideResults)

    def hideResults(self):
        """List as inputs only what can be one."""
        if self._parameterNode is None:
            return
        for selector, className in (
            (self.ui.seriesSelector, "vtkMRMLVolumeNode"),
            (self.ui.segmentationSelector, "vtkMRMLSegmentationNode"),
            (self.ui.dxaSelector, "vtkMRMLTableNode"),
            (self.ui.cohortTableSelector, "vtkMRMLTableNode"),
        ):
            kept = self.logic.inputCandidates(className)
            if className == "vtkMRMLVolumeNode":  # a sequence is listed, the volume that shows it is not once more
                kept = [node for node in kept if ownerOf(node) is node or node is self._parameterNode.series]
            nodes = slicer.util.getNodesByClass(className)
            selector.sortFilterProxyModel().hiddenNodeIDs = [node.GetID() for node in nodes if node not in kept]

    def listSeries(self, caller=None, event=None):
        """List a volume that shows a sequence where a script has chosen it."""
        series, model = self._parameterNode.series, self.ui.seriesSelector.sortFilterProxyModel()
        # not by hideResults, which walks through the scene: a node may just be leaving it
        if series is not None and series.GetID() in model.hiddenNodeIDs:
            model.hiddenNodeIDs = [each for each in model.hiddenNodeIDs if each != series.GetID()]

    def onReload(self):
        """Reload the module together with its library, which Python would otherwise keep as it was."""
        for name in list(sys.modules):
            if name.partition(".")[0] == "DCEPerfusionBMDLib":
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # ---- parameter node

    def initializeParameterNode(self):
        """Make sure that there is a parameter node and that it is observed; choose inputs that are alone."""
        self.setParameterNode(self.logic.getParameterNode())
        for name, className in (("series", "vtkMRMLSequenceNode"), ("segmentation", "vtkMRMLSegmentationNode")):
            if getattr(self._parameterNode, name) is None:
                candidates = self.logic.inputCandidates(className)
                if len(candidates) == 1:
                    setattr(self._parameterNode, name, candidates[0])
        self.hideResults()

    def setParameterNode(self, parameterNode):
        """Bind the panel to a parameter node, or to none."""
        if self._parameterNode is not None:
            for timer in (self._liveTimer, self._inputTimer, self._settleTimer, self._cohortTimer):
                timer.stop()
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.listSeries)
        self.observeInputs([])
        self.observeCohort(None)
        self._inputChart.clear()
        self._parameterNode = parameterNode
        self._guiTag = None
        self._shownPair = self._shownCurve = None
        if parameterNode is not None:
            self.hideResults()
            # first: a selector cannot take up a node that it hides
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.listSeries, priority=1.0)
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            self._inputPlot.setMRMLPlotViewNode(self._views.inputView(parameterNode.parameterNode))
            self._shownInputs = None
            self.onParametersModified()

    def onParametersModified(self, caller=None, event=None):
        """Follow the parameter node: what the inputs are, what can be edited, whether Apply can run."""
        node = self._parameterNode
        if node is None or self._running or self._settleTimer.active:
            return
        for parameter in settings.all_parameters():
            fromData = getattr(getattr(node, parameter.group), parameter.name + FROM_DATA, False)
            editor = getattr(self.ui, widgetName(parameter.name))
            editor.enabled = not fromData and isRead(node, parameter)
        self.ui.segmentEditorButton.enabled = node.series is not None
        self.ui.totalSegmentatorButton.enabled = self.logic.frameOf(node.series) is not None
        if (ownerOf(node.series), node.segmentation) != self._shownPair:
            self.ui.hoverCheckBox.checked = False
            self.showResult()
        bone = [node.dxaTable] if node.dxaTable is not None else []
        self.observeInputs([*self.logic.inputs.placed_nodes(node.series, node.segmentation), *bone])
        self.showInputs()
        self.showDxaSubjects()
        self.checkCanApply()
        self.showCohort()
        key = self.runKey()
        if node.autoUpdate and self.ui.applyButton.enabled and key != self._lastRun:
            self._liveTimer.start(self.LIVE_DELAY_MS)
        if key != self._shownCurve:
            self._inputTimer.start(self.LIVE_DELAY_MS)

    def observeInputs(self, nodes):
        """Follow the nodes whose transforms, outlines and cells a result depends on, and no others."""
        if nodes == self._observed:
            return
        for node, event in self.inputEvents():
            self.removeObserver(node, event, self.onInputsChanged)
        self._observed = nodes
        for node, event in self.inputEvents():
            self.addObserver(node, event, self.onInputsChanged)

    def inputEvents(self):
        """What is observed of the inputs: their transforms, the segments of a segmentation, the cells of a table."""
        for node in self._observed:
            if node.IsA("vtkMRMLTableNode"):
                yield node, vtk.vtkCommand.ModifiedEvent
                continue
            yield node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent
            if node.IsA("vtkMRMLSegmentationNode"):
                for event in (
                    slicer.vtkSegmentation.SourceRepresentationModified,
                    slicer.vtkSegmentation.SegmentModified,
                    slicer.vtkSegmentation.SegmentAdded,
                    slicer.vtkSegmentation.SegmentRemoved,
                ):
                    yield node, event

    def onInputsChanged(self, caller, event):
        """An input was moved, drawn on or typed into: look at it when that has come to rest."""
        if not self._running:
            self._settleTimer.start(self.LIVE_DELAY_MS)

    def onTyping(self, text=""):
        """The user types; called before the parameter node gets the text."""
        self._settleTimer.start(self.TYPING_DELAY_MS)

    def onSettled(self):
        """Typing has ended, or what was moved has come to rest."""
        self._settleTimer.stop()
        self.onParametersModified()

    def checkCanApply(self):
        """Enable Apply when it can run; else a line and its tooltip say what is missing."""
        missing, button, label = self.whatIsMissing(), self.ui.applyButton, self.ui.applyLabel
        button.enabled = not missing
        button.toolTip = missing or _("Compute maps, curves and tables.")
        button.accessibleDescription = button.toolTip
        stale = self.shownResult() is not None and self._resultKey not in (None, self.runKey())
        label.text = missing or (_("The result below is of earlier inputs; press Apply.") if stale else "")
        label.visible = bool(label.text)

    def whatIsMissing(self):
        """Why Apply cannot run, as a sentence; empty when it can."""
        node = self._parameterNode
        if node is None or self._running:
            return _("The analysis is running.") if self._running else _("The scene is closed.")
        if node.series is None:
            return _("Choose a dynamic series.")
        if node.segmentation is None:
            return _("Choose a segmentation with vertebrae and artery.")
        try:
            self.logic.checkInputs(node.series, node.segmentation, settingsOf(node), node.frameTimes, node.skipFrames)
            self.logic.boneMeasurements(node)
        except (settings.InputError, RuntimeError) as error:
            return inWords(error)
        return ""

    def runKey(self):
        """What a result depends on, to tell whether it is up to date."""
        node = self._parameterNode
        try:
            values = settingsOf(node)
        except settings.InputError:
            return None
        table = node.dxaTable and (node.dxaTable.GetID(), node.dxaTable.GetMTime(), node.dxaSubject)
        bone = (table, node.singleSite, node.singleTScore, node.singleBmd)
        return self.logic.inputs.state(node.series, node.segmentation), node.frameTimes, node.skipFrames, bone, values

    # ---- inputs

    def showInputs(self):
        """Say what was understood of the series, and what each segment is taken for."""
        node = self._parameterNode
        shown = (
            self.logic.inputs.state(node.series, node.segmentation),
            (node.frameTimes, node.skipFrames),
            (node.regions.levels, node.arterial_input.aif_segment, node.model.reference_segment),
            [getattr(getattr(node, each.group), each.name + FROM_DATA, None) for each in settings.all_parameters()],
            self.logic.result is not None and id(self.logic.result),
        )
        if shown == self._shownInputs:
            return
        self._shownInputs = shown
        series, doubtful = None, False
        text = _("No series is chosen.")
        if node.series is not None:
            try:
                series = self.logic.readSeries(node.series, node.frameTimes, node.skipFrames)
                text = "\n".join([series.describe(), *map(inWords, series.warnings)])
                doubtful = series.times_doubtful
            except settings.InputError as error:
                text = inWords(error)
                doubtful = "--times" in str(error)
        self.ui.studyLabel.text = text
        self.showTimes(series, doubtful)
        self.ui.studyLabel.toolTip = "\n".join(series.times_rejected) if series is not None else ""
        if series is not None:
            self.showFound(series)
        self.showRegions(series)

    def showDxaSubjects(self):
        """Offer the subjects of a table of bone densitometry that holds more than one."""
        node, ui = self._parameterNode, self.ui
        names = []
        with contextlib.suppress(settings.InputError):  # which stands under Apply
            names = self.logic.dxaSubjects(node.dxaTable)
        if names != [ui.dxaSubject.itemData(n) for n in range(1, ui.dxaSubject.count)]:
            ui.dxaSubject.clear()
            ui.dxaSubject.addItem(_("not chosen"), "")
            for name in names:
                ui.dxaSubject.addItem(name, name)
        ui.dxaSubject.currentIndex = names.index(node.dxaSubject) + 1 if node.dxaSubject in names else 0
        for shown in (ui.dxaSubject, ui.dxaSubjectLabel):
            shown.visible = len(names) > 1

    def onDxaSubjectChosen(self):
        """Take the bone densitometry of another subject of the table."""
        self._parameterNode.dxaSubject = self.ui.dxaSubject.itemData(self.ui.dxaSubject.currentIndex)

    def showTimes(self, series, doubtful):
        """List the frame times that there are; open the list where they are in doubt or the user's."""
        given, ui = self._parameterNode.frameTimes.strip(), self.ui
        first, *others = series.time_choices if series is not None and series.time_choices else [None]
        ui.timeSource.clear()
        ui.timeSource.addItem(_("from data: {times}").format(times=first.describe()) if first else _("from data"), "")
        for choice in others:
            ui.timeSource.addItem(choice.describe(), choice.name)
        ui.timeSource.addItem(_("given below"), None)
        known = ["", *(choice.name for choice in others)]
        ui.timeSource.currentIndex = known.index(given) if given in known else len(known)
        tip = _("Sources of frame times that pass all checks, each with its step (s).")
        ui.timeSource.toolTip = "\n".join([tip, *(series.times_rejected if series is not None else ())])
        if (doubtful or given) and not self._doubted:
            ui.timesButton.checked = True
        self._doubted = bool(doubtful or given)

    def onShowTimes(self, shown):
        """Open or close the choice of frame times."""
        self.ui.timesFrame.visible = shown

    def onTimeSourceChosen(self):
        """Take the frame times from another source."""
        chosen = self.ui.timeSource.itemData(self.ui.timeSource.currentIndex)
        if chosen is not None:
            self._parameterNode.frameTimes = chosen
        else:
            self.ui.frameTimes.setFocus()

    def showFound(self, series):
        """Put what the data tells into the editors that are not the user's, and say where it comes from."""
        for parameter in settings.parameters(settings.AcquisitionSettings):
            found = series.acquisition.get(parameter.name)
            editor = getattr(self.ui, widgetName(parameter.name))
            pack = self._parameterNode.acquisition
            if parameter.type is str:
                editor.placeholderText = str(found.value) if found else _("unknown")
            elif found and getattr(pack, parameter.name + FROM_DATA):
                largest = math.inf if parameter.maximum is None else parameter.maximum
                if parameter.minimum <= found.value <= largest:
                    setattr(pack, parameter.name, parameter.type(found.value))
            if parameter.optional and parameter.type is not str and parameter.name != "baseline_frames":
                source = getattr(self.ui, widgetName(parameter.name) + "FromData")
                source.text = _("from data") if found else _("unknown")
                source.toolTip = found.source if found else _("The data does not tell it.")

    def showRegions(self, series):
        """Fill the table of segments."""
        from DCEPerfusionBMDLib import panel

        node, table = self._parameterNode, self.ui.regionsTable
        rows = []
        if node.segmentation is not None:
            with contextlib.suppress(settings.InputError):  # which stands under Apply
                rows = self.logic.describeSegments(series, node)
        words = {panel.ARTERY: _("artery"), panel.MUSCLE: _("muscle"), "yes": _("yes"), "no": _("no")}
        table.rowCount = len(rows)
        for n, row in enumerate(rows):
            for column, cell in (
                (0, row.name),
                (2, row.voxels),
                (3, row.margin),
                (4, row.excluded),
                (5, words.get(row.evaluable, row.evaluable)),
            ):
                table.setItem(n, column, qt.QTableWidgetItem(cell))
            combo = table.cellWidget(n, 1) or self.roleCombo(n)
            combo.toolTip = _("What the segment is taken for: {reason}").format(reason=row.reason or row.source)
            combo.setItemText(0, words.get(row.detected, row.detected) or _("nothing"))
            combo.currentIndex = (panel.DETECTED, *panel.ROLES).index(row.role)

    def showArterialInput(self):
        """Plot the arterial input with its findings: of the result where that is up to date, else of the inputs."""
        from DCEPerfusionBMDLib import panel

        node, ui = self._parameterNode, self.ui
        self._inputTimer.stop()
        if node is None or self._running:
            return
        self._shownCurve, result, found, chart = self.runKey(), self.shownResult(), None, None
        lines = []
        if result is not None and self._resultKey == self._shownCurve:
            found, chart = result.findings, self.resultNodes().get("chart.input")
        elif node.series is not None and node.segmentation is not None:
            try:
                curves = self.logic.arterialInput(node)
                found, chart = curves.findings, self._inputChart.show(curves)
            except (settings.InputError, RuntimeError) as error:
                lines = [inWords(error)]
            except Exception as error:
                logUnexpected("arterial input", error)
                lines = [unexpected(error)]
        if found is not None:
            lines = [inWords(line) for line in panel.finding_lines(found)]
            lines.append(_("Checks passed: {count}").format(count=sum(each.grade == "ok" for each in found)))
        view = self._views.inputView(node.parameterNode)
        view.SetPlotChartNodeID(chart and chart.GetID())
        ui.inputPlotFrame.visible = chart is not None
        ui.findingsLabel.text = "\n".join(lines)

    def roleCombo(self, row):
        """A list of what a segment can be taken for, in a row of the table; made once."""
        from DCEPerfusionBMDLib import panel

        names = {panel.ARTERY: _("artery"), panel.MUSCLE: _("muscle"), panel.NOTHING: _("no level")}
        combo = qt.QComboBox()
        combo.addItem("")
        for role in panel.ROLES:
            combo.addItem(names.get(role, role))
        combo.activated.connect(lambda value: self.onRoleChosen(row))
        self.ui.regionsTable.setCellWidget(row, 1, combo)
        return combo

    def onRoleChosen(self, row):
        """The user says what a segment is."""
        from DCEPerfusionBMDLib import panel

        node, table = self._parameterNode, self.ui.regionsTable
        name = table.item(row, 0).text()
        role = (panel.DETECTED, *panel.ROLES)[table.cellWidget(row, 1).currentIndex]
        chosen = panel.Roles(node.regions.levels, node.arterial_input.aif_segment, node.model.reference_segment)
        chosen = chosen.with_role(name, role)
        with slicer.util.NodeModify(node):
            node.regions.levels = chosen.levels
            node.arterial_input.aif_segment = chosen.artery
            node.model.reference_segment = chosen.reference

    def onLoadDicom(self):
        """Read the dynamic series of a folder."""
        title = _("Reading DICOM")
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder with the dynamic series"))
        found = self.runWithProgress(title, lambda report: self.logic.dynamicSeries(folder, report)) if folder else None
        if found is None:
            return
        number = None
        if len(found) > 1:
            items = [_("none of them"), *found]
            chosen = qt.QInputDialog.getItem(slicer.util.mainWindow(), title, _("Dynamic series:"), items, 0, False)
            if chosen not in found:
                return
            number = found[chosen]
        node = self.runWithProgress(title, lambda report: self.logic.loadDicom(folder, report, number))
        if node is not None:
            self._parameterNode.series = node
            self._views.showAnatomy(self.logic.anatomyOf(node))

    def onLoadPhantom(self):
        """Make the phantom and choose it."""
        nodes = self.runWithProgress(_("Making the phantom"), self.logic.loadPhantom)
        if nodes is not None:
            with slicer.util.NodeModify(self._parameterNode):
                self._parameterNode.series = nodes["series"]
                self._parameterNode.segmentation = nodes["segmentation"]
                self._parameterNode.dxaTable = nodes["dxa"]
            self._views.showAnatomy(self.logic.anatomyOf(nodes["series"]))

    def onImportDxa(self):
        """Read a table of bone densitometry."""
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Table of bone densitometry"), "", "*.csv *.tsv *.txt"
        )
        if path:
            with errorsShown(_("The table cannot be read.")):
                self._parameterNode.dxaTable = self.logic.loadDxaTable(path)

    def onSegmentEditor(self):
        """Open the Segment Editor on this series."""
        node = self._parameterNode
        if node.segmentation is None:
            node.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
            node.segmentation.CreateDefaultDisplayNodes()
        segmentation, anatomy = node.segmentation, self.logic.anatomyOf(node.series)
        if anatomy is not None:
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(anatomy)
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(segmentation)
        editor.setSourceVolumeNode(anatomy)

    def onTotalSegmentator(self):
        """Outline the vertebrae with the TotalSegmentator extension, in the segmentation that is chosen."""
        from TotalSegmentator import TotalSegmentatorLogic

        node = self._parameterNode
        frame = self.logic.frameOf(node.series)
        if self._running or frame is None:
            return
        self._running = True
        self.checkCanApply()
        try:
            with errorsShown(_("TotalSegmentator failed.")):
                logic = TotalSegmentatorLogic()
                logic.setupPythonRequirements()
                segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Vertebrae")
                try:
                    logic.process(frame, segmentation, fast=False, task="vertebrae_mr")
                    if node.segmentation is not None:
                        self.logic.copySegments(segmentation, node.segmentation)
                except Exception:
                    slicer.mrmlScene.RemoveNode(segmentation)
                    raise
                if node.segmentation is None:
                    node.segmentation = segmentation
                else:
                    slicer.mrmlScene.RemoveNode(segmentation)
                slicer.util.showStatusMessage(_("The vertebrae are outlined; now outline the artery."), 5000)
        finally:
            self._running = False
            self.onParametersModified()

    # ---- analysis

    def runWithProgress(self, title, work):
        """Call `work(report)` under a dialog that can cancel; None when it was canceled or refused."""
        from DCEPerfusionBMDLib.errors import Cancelled

        dialog = slicer.util.createProgressDialog(
            windowTitle=title, maximum=100, autoClose=False, autoReset=False, windowModality=qt.Qt.ApplicationModal
        )

        def report(fraction, message):
            dialog.labelText = message
            dialog.value = int(100 * fraction)
            slicer.app.processEvents()
            return not dialog.wasCanceled

        self._running = True
        self.checkCanApply()
        with errorsShown(title):
            try:
                return work(report)
            except Cancelled:
                slicer.util.showStatusMessage(_("Canceled; nothing was changed."), 5000)
            finally:  # before an error is shown, which would lie under the dialog
                self._running = False
                dialog.close()
                dialog.deleteLater()
                self.onParametersModified()
        return None

    def onApply(self):
        """Analyze; one run at a time."""
        self._settleTimer.stop()
        if not self._running:
            self.onParametersModified()
        if self._running or self.whatIsMissing():
            return
        self._liveTimer.stop()
        key = self.runKey()
        node = self._parameterNode
        nodes = self.runWithProgress(_("Analyzing"), lambda report: self.logic.analyzeParameters(node, report))
        if nodes is not None:
            self._lastRun = self._resultKey = key
            self._views.show(nodes, node.segmentation, self.logic.anatomyOf(node.series))
            self.showResult()

    def onLiveTimer(self):
        """Compute anew after a change, without a dialog and without letting events in."""
        from DCEPerfusionBMDLib.errors import Cancelled

        self._liveTimer.stop()
        key = self.runKey()
        if self._running or self.whatIsMissing() or key == self._lastRun:
            return
        self._running = True
        try:
            self.logic.analyzeParameters(self._parameterNode, None, live=True)
        except (settings.InputError, RuntimeError, OSError, Cancelled) as error:
            self.showWarnings([str(error)])
        except Exception as error:
            logUnexpected("live result", error)
            self.showWarnings([unexpected(error)])
        else:
            self._resultKey = key
            self.showResult()
        finally:
            self._lastRun = key
            self._running = False
            self.checkCanApply()
            self.showArterialInput()

    # ---- results

    def showResult(self):
        """Fill what shows the result of the chosen pair of series and segmentation; empty where there is none."""
        node, ui = self._parameterNode, self.ui
        self._shownPair = (ownerOf(node.series), node.segmentation)
        nodes = self.resultNodes()
        for selector, kind in ((ui.mapSelector, "map."), (ui.tableSelector, "table.")):
            before = selector.currentText
            selector.clear()
            for role in nodes:
                if role.startswith(kind):
                    selector.addItem(self.logic.titleOf(nodes[role]), role)
            selector.currentIndex = max(0, selector.findText(before))
        ui.regionSelector.clear()
        for name in self.logic.segmentNames(nodes.get("analyzed")):
            ui.regionSelector.addItem(name)
        result = self.shownResult() if nodes else None
        ui.showExcludedButton.enabled = "excluded" in nodes
        ui.exportButton.enabled = result is not None
        ui.hoverCheckBox.enabled = result is not None
        ui.hoverCheckBox.checked = ui.hoverCheckBox.checked and result is not None
        explained = _("Write maps (NRRD), tables (CSV) and provenance into a folder.")
        ui.exportButton.toolTip = explained if result is not None else _("Apply first.")
        against = self.logic.whatForbidsDicom() if result is not None else _("Apply first.")
        ui.exportDicomButton.enabled = not against
        ui.exportDicomButton.toolTip = against or _(
            "Write maps, regions and a measurement report as DICOM objects beside the source series; they name the "
            "patient as it does."
        )
        for control in (ui.mapSelector, ui.tableSelector, ui.regionSelector, ui.layoutButton):
            control.enabled = bool(nodes)
        ui.boneLabel.text = inWords("\n".join(self.logic.boneSentences())) if result is not None else ""
        self.showWarnings(result.warnings if result is not None else [])
        if result is not None:
            self.showUsed(result)
        self.onHover(ui.hoverCheckBox.checked)  # the chart and the curves are new
        self.showInputs()
        self.checkCanApply()
        self.showArterialInput()

    def showUsed(self, result):
        """Put the constants that the analysis found into the editors that are not the user's."""
        for parameter in settings.all_parameters():
            pack, used = getattr(self._parameterNode, parameter.group), result.used.get(parameter.name)
            if used is not None and getattr(pack, parameter.name + FROM_DATA, False):
                source = getattr(self.ui, widgetName(parameter.name) + "FromData")
                source.toolTip = used.source
                editor = getattr(self.ui, widgetName(parameter.name))
                if editor.minimum <= used.value <= editor.maximum:
                    setattr(pack, parameter.name, parameter.type(used.value))

    def showWarnings(self, warnings):
        """A line that says how many warnings there are; it opens the list."""
        count = len(warnings)
        self.ui.warningsButton.text = _("Warnings: {count}").format(count=count) if count else _("No warnings")
        self.ui.warningsButton.enabled = count > 0
        self.ui.warningsText.setPlainText("\n\n".join(inWords(warning) for warning in warnings))
        if not count:
            self.ui.warningsButton.checked = False

    def shownResult(self):
        """The result of the chosen pair of series and segmentation; None where another one was analyzed last."""
        node = self._parameterNode
        return self.logic.resultOf(node.series, node.segmentation) if node is not None else None

    def resultNodes(self):
        """Role to node of the result of the chosen pair; empty where there is none."""
        node = self._parameterNode
        return self.logic.resultNodes(node.series, node.segmentation) if node is not None else {}

    def resultNode(self, selector):
        """The node that is chosen in a list of results."""
        return self.resultNodes().get(selector.itemData(selector.currentIndex))

    def onMapChosen(self):
        """Put the map over the anatomy."""
        self._views.showMap(self.resultNode(self.ui.mapSelector), self.logic.anatomyOf(self._parameterNode.series))

    def onTableChosen(self):
        """Show the table beside the images."""
        self._views.showTable(self.resultNode(self.ui.tableSelector))

    def onRegionChosen(self):
        """Jump to a vertebra."""
        segmentation = self.resultNodes().get("analyzed")
        if segmentation is not None:
            self._views.jumpTo(segmentation, self.ui.regionSelector.currentText)

    def onLayout(self):
        """Show all of the result."""
        nodes = self.resultNodes()
        if not nodes:
            return
        self._views.show(nodes, self._parameterNode.segmentation, self.logic.anatomyOf(self._parameterNode.series))
        self.onMapChosen()

    def onShowExcluded(self, shown):
        """Show or hide the voxels that are left out."""
        nodes = self.resultNodes()
        if "excluded" in nodes:
            nodes["excluded"].GetDisplayNode().SetVisibility(shown)

    def onShowWarnings(self, shown):
        """Open or close the list of warnings."""
        self.ui.warningsText.visible = shown

    def onHover(self, shown):
        """Follow the mouse pointer with the curve of the voxel under it."""
        chart = self.resultNodes().get("chart.tissue") if shown else None
        if chart is not None and self.shownResult() is not None:
            self._hover.start(chart, self.logic.voxelCurves())
        else:
            self._hover.stop()

    def onExport(self):
        """Write the result into a folder."""
        if self.shownResult() is None:
            return
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the results"))
        if folder:
            drawn = self.figuresCanBeDrawn()
            with errorsShown(_("The results cannot be written.")):
                self.logic.exportResult(folder)
                without = _("The results are written; the report has no curves, since matplotlib is not installed.")
                slicer.util.showStatusMessage(_("The results are written.") if drawn else without, 5000)

    def figuresCanBeDrawn(self):
        """Whether matplotlib is there; where it is not, it is offered once, and installed if the user agrees."""
        from DCEPerfusionBMDLib.desktop import install, isInstalled

        if isInstalled("matplotlib"):
            return True
        if self._figuresDeclined or slicer.app.testingEnabled():  # where questions answer themselves
            return False
        title = _("Figures of the report")
        question = _(
            "The curves and figures of reports are drawn with matplotlib, which is not installed. Slicer can install "
            "it from the internet (PyPI); this changes Slicer's Python environment. Without it the report has its "
            "tables and maps, and says what is missing. Install it now?"
        )
        self._figuresDeclined = not slicer.util.confirmOkCancelDisplay(question, windowTitle=title)
        if self._figuresDeclined:
            return False
        self._running = True  # the installer lets events in
        self.checkCanApply()
        try:
            installed = install("matplotlib")
        finally:
            self._running = False
            self.onParametersModified()
        if not installed:
            showError(_("matplotlib could not be installed; the log says why. The report has no figures."), title)
        return installed

    def onExportDicom(self):
        """Write the result as DICOM objects into a folder."""
        result = self.shownResult()
        if result is None or self._running or self.logic.whatForbidsDicom():
            return
        folders = []
        for title in (_("Folder with the DICOM series that was analyzed"), _("Folder for the DICOM objects")):
            folders.append(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title))
            if not folders[-1]:
                return
        notes = self.runWithProgress(_("Exporting DICOM"), lambda report: self.logic.exportDicom(*folders, report))
        if notes is not None:
            self.showWarnings([*result.warnings, *notes])
            slicer.util.showStatusMessage(_("The DICOM objects are written."), 5000)

    # ---- cohort

    def setupCohort(self):
        """Connect what compares many subjects."""
        self._cohortTimer = timerOf(self.showCohort)
        self.ui.loadCohortButton.clicked.connect(self.onLoadCohort)
        self.ui.compareButton.clicked.connect(self.onCompare)
        self.ui.cohortShownSelector.activated.connect(self.onCohortShown)
        self.ui.cohortReportButton.clicked.connect(self.onCohortReport)

    def observeCohort(self, table):
        """Follow the cells of a table, and of no other."""
        if table is self._observedCohort:
            return
        if self._observedCohort is not None:
            self.removeObserver(self._observedCohort, vtk.vtkCommand.ModifiedEvent, self.onCohortModified)
        self._observedCohort = table
        if table is not None:
            self.addObserver(table, vtk.vtkCommand.ModifiedEvent, self.onCohortModified)

    def onCohortModified(self, caller, event):
        """A cell was changed: look at the table when that has come to rest."""
        self._cohortTimer.start(self.LIVE_DELAY_MS)

    def cohortKey(self):
        """What a comparison depends on, to tell whether it is up to date."""
        node = self._parameterNode
        table = node.cohortTable
        return table and (table.GetID(), table.GetMTime()), cohortSettingsOf(node)

    def whatCohortMisses(self):
        """Why subjects cannot be compared, as a sentence; empty when they can."""
        node = self._parameterNode
        if node.cohortTable is None:
            return _("Choose a table with a row for each subject.")
        try:
            self.logic.readCohort(node.cohortTable, cohortSettingsOf(node))
        except settings.InputError as error:
            return inWords(error)
        return ""

    def showCohort(self):
        """Say what was understood of the table of subjects, what stops Compare, and list what was found."""
        node, ui = self._parameterNode, self.ui
        self._cohortTimer.stop()
        if node is None or self._running:
            return
        self.observeCohort(node.cohortTable)
        missing = self.whatCohortMisses()
        ui.compareButton.enabled = not missing
        ui.compareButton.toolTip = missing or _("Compute tables, tests and charts of the subjects.")
        ui.compareButton.accessibleDescription = ui.compareButton.toolTip
        lines = [missing]
        if not missing:
            cohort = self.logic.readCohort(node.cohortTable, cohortSettingsOf(node))
            told = _("{rows} rows read, {kept} kept, {left} left out.")
            lines = [told.format(rows=cohort.rows_read, kept=cohort.subjects.size, left=len(cohort.left_out))]
            if cohort.ignored:
                lines.append(_("Columns not recognized: {names}.").format(names=", ".join(cohort.ignored)))
            lines += cohort.notes
        found = self.logic.cohortNodes(node.cohortTable)
        compared = self.logic.cohortResultOf(node.cohortTable)
        if compared is not None and self._comparedKey != self.cohortKey():
            lines.append(_("The result below is of an earlier table or other choices; press Compare."))
        elif compared is not None:
            lines += compared.warnings
        ui.cohortLabel.text = "\n".join([*lines, *self._cohortSaid])
        before, selector = ui.cohortShownSelector.currentText, ui.cohortShownSelector
        selector.clear()
        for role, shown in found.items():
            selector.addItem(shown.GetName().removeprefix(node.cohortTable.GetName()).strip(), role)
        selector.currentIndex = max(0, selector.findText(before))
        selector.enabled = bool(found)
        ui.cohortNoteLabel.text = self.cohortNote()
        ui.cohortReportButton.enabled = compared is not None
        explained = _("Write tables (CSV), figures and a report (HTML) into a folder.")
        ui.cohortReportButton.toolTip = explained if compared is not None else _("Compare first.")

    def shownCohortNode(self):
        """The table or chart that is chosen in the list."""
        selector = self.ui.cohortShownSelector
        return self.logic.cohortNodes(self._parameterNode.cohortTable).get(selector.itemData(selector.currentIndex))

    def cohortNote(self):
        """What stands under the chosen table, or over the chosen chart."""
        shown = self.shownCohortNode()
        if shown is None:
            return ""
        return (shown.GetTitle() if shown.IsA("vtkMRMLPlotChartNode") else shown.GetDescription()) or ""

    def onLoadCohort(self):
        """Read a table of subjects."""
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Table of subjects"), "", "*.csv *.tsv *.txt")
        if path:
            with errorsShown(_("The table cannot be read.")):
                self._parameterNode.cohortTable = self.logic.loadCohortTable(path)

    def onCompare(self):
        """Compare the subjects; one run at a time."""
        node = self._parameterNode
        if node is None or self._running or self.whatCohortMisses():
            return
        key = self.cohortKey()
        nodes = self.runWithProgress(
            _("Comparing"), lambda report: self.logic.analyzeCohort(node.cohortTable, cohortSettingsOf(node), report)
        )
        if nodes is not None:
            self._comparedKey, self._cohortSaid = key, []
            self.showCohort()
            self.onCohortShown()

    def onCohortShown(self):
        """Show the table or chart that was chosen."""
        self._views.showBeside(self.shownCohortNode())
        self.ui.cohortNoteLabel.text = self.cohortNote()

    def onCohortReport(self):
        """Write tables, figures and the report into a folder."""
        if self.logic.cohortResultOf(self._parameterNode.cohortTable) is None:
            return
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the report"))
        if not folder:
            return
        self.figuresCanBeDrawn()  # what is missing without is among what is said
        said = self.runWithProgress(_("Saving the report"), lambda report: self.logic.writeCohortReport(folder, report))
        if said is not None:
            self._cohortSaid = [_("The report is in {folder}.").format(folder=folder), *said]
            self.showCohort()


def timerOf(action):
    """A timer that calls `action`, which is to stop it."""
    timer = qt.QTimer()
    timer.timeout.connect(action)
    return timer


def inWords(message):
    """A message of the library with the names of its options as the panel's user reads them."""
    from DCEPerfusionBMDLib.panel import options_in_words

    return options_in_words(str(message))


def unexpected(error):
    """An error that nobody foresaw, as a sentence."""
    return _("Unexpected error: {error}").format(error=f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def errorsShown(title):
    """Show an error in a box and go on; the log, which may be passed on, gets no name and no folder."""
    try:
        yield
    except (settings.InputError, RuntimeError, OSError) as error:
        showError(inWords(error), title)
    except Exception as error:
        logUnexpected(title, error)
        showError(unexpected(error), title)


def showError(text, title):
    """A message in a box, without the log that `slicer.util.errorDisplay` would also write it to."""
    if slicer.app.testingEnabled() or slicer.util.mainWindow() is None:
        logging.error(title)
    else:
        slicer.util.messageBox(text, windowTitle=title)


def logUnexpected(title, error):
    """Log the kind of an error and where it arose; its text may name a patient or a folder."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logging.error(f"{title}: {type(error).__name__}\n{where}")


def widgetName(parameterName):
    """Name of the editor of a parameter in the .ui file: repetition_time_ms is edited by repetitionTimeMs."""
    first, *others = parameterName.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


#
# DCEPerfusionBMDLogic
#


class DCEPerfusionBMDLogic(ScriptedLoadableModuleLogic):
    """What the module can do without its panel.

    Example
    -------
    >>> logic = DCEPerfusionBMDLogic()
    >>> inputs = logic.loadPhantom()
    >>> nodes = logic.analyze(inputs["series"], inputs["segmentation"], dxaTableNode=inputs["dxa"])
    >>> nodes["table.vertebrae"].GetNumberOfRows()
    5
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        checkLibrary()
        self.forget()

    def forget(self):
        """Let go of the last result and of what was read of the inputs."""
        from DCEPerfusionBMDLib import scenestudy

        self.result = None
        self._settings = None
        self._history = None
        self._series = None
        self._pair = (None, None)
        self.cohortResult = None
        self._cohortTable = None
        self._cohortRead = (None, None)
        self._dxaRead = {}
        self.inputs = scenestudy.Inputs(slicer.mrmlScene)

    def getParameterNode(self):
        """The parameter node of the module, as an object with a member per parameter."""
        return DCEPerfusionBMDParameterNode(super().getParameterNode())

    def libraryVersion(self):
        """Version of the library beside the module."""
        import DCEPerfusionBMDLib

        return DCEPerfusionBMDLib.__version__

    # ---- inputs

    def loadPhantom(self, progress=None):
        """Put the lumbar phantom into the scene.

        Parameters
        ----------
        progress : called as progress(fraction, message); where it returns False, the scene stays as it was.

        Returns
        -------
        Dictionary of the nodes `series`, `segmentation` and `dxa`.

        Raises
        ------
        Cancelled
            where progress returned False.
        """
        from DCEPerfusionBMDLib import phantom, scenestudy

        made = phantom.LumbarPhantom()
        series = made.series()
        frames = []
        for n in range(len(series.frames)):
            self._report(progress, n / len(series.frames), _("Making the phantom"))
            frames.append(series.frames[n])
        name = slicer.mrmlScene.GenerateUniqueName(SAMPLE_NAME)
        return scenestudy.write_phantom(slicer.mrmlScene, made, frames, name)

    def dynamicSeries(self, folder, progress=None):
        """What a folder of DICOM files holds of dynamic series.

        Parameters
        ----------
        folder : is searched with all folders in it.
        progress : called as progress(fraction, message); False cancels.

        Returns
        -------
        A line about each series, and its instance UID.

        Raises
        ------
        InputError
            where it is no folder.
        Cancelled
            where progress returned False.
        """
        from DCEPerfusionBMDLib.dicomio import inspect_folder

        found = [each for each in inspect_folder(Path(folder), progress).series if each.kind == "dynamic"]
        return {f"{each.number}: {each.description} ({each.why}; {each.times})": each.uid for each in found}

    def loadDicom(self, folder, progress=None, seriesNumber=None):
        """Read the dynamic series of a folder of DICOM files into the scene.

        Parameters
        ----------
        folder : is searched with all folders in it.
        progress : called as progress(fraction, message); where it returns False, the scene stays as it was.
        seriesNumber : number or instance UID, needed where the folder holds several dynamic series.

        Returns
        -------
        vtkMRMLSequenceNode with an index in s.

        Raises
        ------
        InputError
            where the folder holds no dynamic series that can be read, or several and none is chosen.
        Cancelled
            where progress returned False.
        """
        from DCEPerfusionBMDLib import scene
        from DCEPerfusionBMDLib.dicomio import read_series

        series = read_series(Path(folder), seriesNumber, progress)
        node = scene.write_series(slicer.mrmlScene, series, slicer.mrmlScene.GenerateUniqueName("DCE"))
        if seriesNumber is not None:  # tells images of several kinds in the same files apart
            node.SetAttribute("DCEPerfusionBMD.sourceSeries", str(seriesNumber))
        return node

    def loadDxaTable(self, path):
        """Read a table of bone densitometry into the scene.

        Parameters
        ----------
        path : comma, semicolon or tab separated file.

        Returns
        -------
        vtkMRMLTableNode, every cell as text.

        Raises
        ------
        InputError
            where the file cannot be read or is empty.
        """
        from DCEPerfusionBMDLib import scenestudy

        return scenestudy.read_table_file(slicer.mrmlScene, Path(path))

    def inputCandidates(self, className):
        """Nodes of a class that may be an input: series that can be one, segmentations that are not ours.

        Parameters
        ----------
        className : `vtkMRMLSequenceNode`, `vtkMRMLVolumeNode` or another class of nodes.

        Returns
        -------
        List of nodes.
        """
        from DCEPerfusionBMDLib.sceneinput import is_dynamic_candidate

        nodes = slicer.util.getNodesByClass(className)
        if className in ("vtkMRMLSequenceNode", "vtkMRMLVolumeNode"):
            return [node for node in nodes if is_dynamic_candidate(node, slicer.mrmlScene)]
        return [node for node in nodes if not node.GetAttribute("DCEPerfusionBMD.role")]

    def readSeries(self, seriesNode, frameTimes="", skipFrames=0):
        """The dynamic series of a node; what was read is kept until the node changes or is moved.

        Parameters
        ----------
        seriesNode : sequence of volumes, the volume that shows one, or a multivolume.
        frameTimes : times that go before those of the data, in s: a step, or one per frame separated by commas.
        skipFrames : leading frames to leave out.

        Returns
        -------
        `DCEPerfusionBMDLib.series.DynamicSeries`: frames (K, J, I), times in s, (4, 4) index to world in mm.

        Raises
        ------
        InputError
            naming the node and why it is no series that can be used.
        """
        database = getattr(slicer, "dicomDatabase", None)
        tags = database.instanceValue if database is not None and database.isOpen else None
        return self.inputs.series(seriesNode, frameTimes, skipFrames, tags)

    def checkInputs(self, seriesNode, segmentationNode, settings, frameTimes="", skipFrames=0):
        """Refuse inputs with which an analysis could not begin; nothing is said of what is found on the way.

        Parameters
        ----------
        seriesNode : sequence of volumes, the volume that shows one, or a multivolume.
        segmentationNode : vertebrae and artery.
        settings : `DCEPerfusionBMDLib.settings.Settings`.
        frameTimes : times that go before those of the data, in s: a step, or one per frame separated by commas.
        skipFrames : leading frames to leave out.

        Raises
        ------
        InputError
            naming what is missing or cannot be used.
        """
        from DCEPerfusionBMDLib import panel, scene

        series = self.readSeries(seriesNode, frameTimes, skipFrames)
        panel.check_segments(scene.segment_labels(segmentationNode), settings)
        self.inputs.masks(segmentationNode, series)

    def describeSegments(self, series, parameterNode):
        """Rows for the table of segments: what each is taken for, and what became of its voxels.

        Parameters
        ----------
        series : what `readSeries` returned; None where there is none.
        parameterNode : with the segmentation and the roles of its segments.

        Returns
        -------
        List of `DCEPerfusionBMDLib.panel.SegmentRow`, in the order of the segments.

        Raises
        ------
        InputError
            where there is no segment, two have the same name, or they cannot be put on the grid of the series.
        """
        from DCEPerfusionBMDLib import panel, scene

        segmentation = parameterNode.segmentation
        result = self.resultOf(parameterNode.series, segmentation)
        voxels = self.inputs.counts(segmentation, series) if series is not None else {}
        roles = panel.Roles(
            parameterNode.regions.levels,
            parameterNode.arterial_input.aif_segment,
            parameterNode.model.reference_segment,
        )
        return panel.segment_rows(scene.segment_labels(segmentation), voxels, roles, result)

    def arterialInput(self, parameterNode):
        """The input of the model with its findings, before the analysis of what a parameter node describes.

        Parameters
        ----------
        parameterNode : with series, segmentation and settings.

        Returns
        -------
        `DCEPerfusionBMDLib.study.ModelInput`.

        Raises
        ------
        InputError
            where the inputs cannot be used.
        """
        from DCEPerfusionBMDLib import scene, study

        series = self.readSeries(parameterNode.series, parameterNode.frameTimes, parameterNode.skipFrames)
        masks = self.inputs.masks(parameterNode.segmentation, series)
        labels = scene.segment_labels(parameterNode.segmentation)
        return study.arterial_input(series, masks, settingsOf(parameterNode), labels)

    def anatomyOf(self, seriesNode):
        """The volume that shows a series.

        Parameters
        ----------
        seriesNode : of the series; may be None.

        Returns
        -------
        Its mean enhancement where there is one, else its current frame; None where there is none.
        """
        from DCEPerfusionBMDLib import scenestudy

        return scenestudy.anatomy_of(slicer.mrmlScene, ownerOf(seriesNode)) if seriesNode is not None else None

    def frameOf(self, seriesNode):
        """The volume that shows the current frame of a series.

        Parameters
        ----------
        seriesNode : of the series; may be None.

        Returns
        -------
        Volume node; None where there is none.
        """
        from DCEPerfusionBMDLib import scenestudy

        return scenestudy.frame_of(slicer.mrmlScene, ownerOf(seriesNode)) if seriesNode is not None else None

    # ---- analysis

    def analyze(
        self,
        seriesNode,
        segmentationNode,
        settings=None,
        dxaTableNode=None,
        progress=None,
        frameTimes="",
        skipFrames=0,
        densitometry=None,
        live=False,
        dxaSubject="",
    ):
        """Analyze one series and put maps, tables, charts and segmentations into the scene.

        Parameters
        ----------
        seriesNode : sequence of volumes, the volume that shows one, or a multivolume.
        segmentationNode : vertebrae and artery.
        settings : `DCEPerfusionBMDLib.settings.Settings`; the defaults when None.
        dxaTableNode : bone densitometry, or None.
        progress : called as progress(fraction, message); where it returns False, the scene stays as it was.
        frameTimes : times that go before those of the data, in s: a step, or one per frame separated by commas.
        skipFrames : leading frames to leave out.
        densitometry : measurements that are used where there is no table.
        live : whether the voxels of the series are as they were in the last run, whose work is then taken up.
        dxaSubject : whose bone densitometry it is, where the table holds several subjects.

        Returns
        -------
        Role to node: `map.ktrans`, `table.vertebrae`, `chart.tissue`, `analyzed`, `excluded`, and so on.

        Raises
        ------
        InputError
            naming what is wrong with the inputs or the settings.
        Cancelled
            where progress returned False.

        Notes
        -----
        The quantities and their units are those of `DCEPerfusionBMDLib.quantities`; the methods are those of
        `DCEPerfusionBMDLib.study.analyze`, which the report describes with their sources.
        """
        from DCEPerfusionBMDLib import export, scene, scenestudy, study
        from DCEPerfusionBMDLib.settings import Settings

        settings = settings or Settings()
        if not live:
            self.inputs.forget()
        series = self.readSeries(seriesNode, frameTimes, skipFrames)
        masks, labels = self.inputs.masks(segmentationNode, series), scene.segment_labels(segmentationNode)
        memory = self.inputs.memory(series, masks, labels)
        bone = self.readDxa(dxaTableNode, dxaSubject) if dxaTableNode is not None else densitometry
        result = study.analyze(series, masks, settings, bone, progress=progress, labels=labels, memory=memory)
        owner = ownerOf(seriesNode)
        typed = bone if dxaTableNode is None else None
        version = getattr(slicer.app, "applicationVersion", "")
        self._history = scenestudy.history_of(series, masks, settings, result, dxaTableNode, typed, frameTimes, version)
        writer = scene.ResultWriter(slicer.mrmlScene, owner, segmentationNode)
        nodes = writer.write(series, result, export.as_text(self._history))
        self.result, self._settings, self._series, self._pair = result, settings, series, (owner, segmentationNode)
        return nodes

    def analyzeParameters(self, parameterNode, progress=None, live=False):
        """Analyze what a parameter node describes.

        Parameters
        ----------
        parameterNode : with inputs and settings.
        progress : called as progress(fraction, message); where it returns False, the scene stays as it was.
        live : as for `analyze`.

        Returns
        -------
        Role to node, as of `analyze`.

        Raises
        ------
        InputError
            as `analyze`.
        Cancelled
            where progress returned False.
        """
        return self.analyze(
            parameterNode.series,
            parameterNode.segmentation,
            settingsOf(parameterNode),
            parameterNode.dxaTable,
            progress,
            parameterNode.frameTimes,
            parameterNode.skipFrames,
            self.singleMeasurement(parameterNode) if parameterNode.dxaTable is None else None,
            live,
            parameterNode.dxaSubject,
        )

    def boneMeasurements(self, parameterNode):
        """The bone densitometry that a parameter node describes.

        Parameters
        ----------
        parameterNode : with a table, or with values that were typed in.

        Returns
        -------
        `DCEPerfusionBMDLib.densitometry.Densitometry`, of the table if there is one; None where there is nothing.

        Raises
        ------
        InputError
            where it cannot be read.
        """
        if parameterNode.dxaTable is not None:
            return self.readDxa(parameterNode.dxaTable, parameterNode.dxaSubject)
        return self.singleMeasurement(parameterNode)

    def readDxa(self, tableNode, subject=""):
        """The bone densitometry of one subject in a table node.

        Parameters
        ----------
        tableNode : vtkMRMLTableNode.
        subject : whose; one that is not in the table counts as none, which suffices where the table has one only.

        Returns
        -------
        `DCEPerfusionBMDLib.densitometry.Densitometry`: BMD in g/cm2, scores without unit, QCT in mg/cm3.

        Raises
        ------
        InputError
            naming row and column of what cannot be read, or that the choice of the subject is open.
        """
        from DCEPerfusionBMDLib import scene

        chosen = subject if subject in self.dxaSubjects(tableNode) else None
        return self._dxaKept(tableNode, ("of", chosen), lambda: scene.read_dxa_node(tableNode, chosen))

    def dxaSubjects(self, tableNode):
        """Names of the subjects in a table node of bone densitometry.

        Parameters
        ----------
        tableNode : vtkMRMLTableNode; may be None.

        Returns
        -------
        List of names, empty for None.

        Raises
        ------
        InputError
            naming row and column of what cannot be read.
        """
        from DCEPerfusionBMDLib import scene

        if tableNode is None:
            return []
        return self._dxaKept(tableNode, "subjects", lambda: scene.subjects_of_dxa_node(tableNode))

    def _dxaKept(self, tableNode, what, read):
        """What was read of a table of bone densitometry, or why it cannot be, until the table changes."""
        from DCEPerfusionBMDLib.errors import InputError

        state = (tableNode.GetID(), tableNode.GetMTime())
        if self._dxaRead.get("state") != state:
            self._dxaRead = {"state": state}
        if what not in self._dxaRead:
            try:
                self._dxaRead[what] = read()
            except InputError as error:
                self._dxaRead[what] = error
        found = self._dxaRead[what]
        if isinstance(found, InputError):
            raise InputError(str(found))
        return found

    def singleMeasurement(self, parameterNode):
        """The bone measurement that was typed in.

        Parameters
        ----------
        parameterNode : with the texts; a comma in them is the decimal one.

        Returns
        -------
        `DCEPerfusionBMDLib.densitometry.Densitometry` of one site; None where nothing was typed in.

        Raises
        ------
        InputError
            where a text is no number, or one that cannot be.
        """
        from DCEPerfusionBMDLib.densitometry import measurements_from_values

        typed = {"t_score": parameterNode.singleTScore, "bmd_g_cm2": parameterNode.singleBmd}
        site = parameterNode.singleSite
        # each is one value: a comma in it is the decimal one
        values = {name: f"{site}={text.strip().replace(',', '.')}" for name, text in typed.items() if text.strip()}
        return measurements_from_values(values) if values else None

    # ---- results

    def resultNodes(self, seriesNode, segmentationNode):
        """The nodes of the result of a pair.

        Parameters
        ----------
        seriesNode : of the series; may be None.
        segmentationNode : of the same analysis; may be None.

        Returns
        -------
        Role to node, as of `analyze`; empty where there is no result.
        """
        from DCEPerfusionBMDLib import scenestudy

        if seriesNode is None or segmentationNode is None:
            return {}
        return scenestudy.result_nodes(slicer.mrmlScene, ownerOf(seriesNode), segmentationNode)

    def resultOf(self, seriesNode, segmentationNode):
        """The last result, where it is that of a pair.

        Parameters
        ----------
        seriesNode : of the series; may be None.
        segmentationNode : of the same analysis; may be None.

        Returns
        -------
        `DCEPerfusionBMDLib.result.StudyResult`, or None.
        """
        if seriesNode is None or segmentationNode is None:
            return None
        return self.result if self._pair == (ownerOf(seriesNode), segmentationNode) else None

    def titleOf(self, node):
        """A result in a list, by its role: its quantity with the unit, or its title.

        Parameters
        ----------
        node : of a result.

        Returns
        -------
        Text for people.
        """
        from DCEPerfusionBMDLib import panel

        role = node.GetAttribute("DCEPerfusionBMD.role")
        titles = {
            "table.vertebrae": _("Perfusion per vertebra"),
            "table.descriptive": _("Enhancement per vertebra"),
            "table.margins": _("Sensitivity to the margin"),
            "table.curves": _("Enhancement curves"),
            "table.bmd_classification": _("BMD classification"),
            "table.perfusion_comparison": _("Perfusion comparison"),
            "table.motion": _("Motion"),
        }
        return titles.get(role) or panel.title_of(role, node.GetName())

    def copySegments(self, fromNode, toNode):
        """Copy all segments of a node into another one beside what it holds.

        Parameters
        ----------
        fromNode : vtkMRMLSegmentationNode.
        toNode : vtkMRMLSegmentationNode.

        Raises
        ------
        RuntimeError
            where that fails.
        """
        source, target = fromNode.GetSegmentation(), toNode.GetSegmentation()
        for n in range(source.GetNumberOfSegments()):
            if not target.CopySegmentFromSegmentation(source, source.GetNthSegmentID(n)):
                raise RuntimeError(_("The outlines could not be copied into the segmentation that is chosen."))

    def segmentNames(self, segmentationNode):
        """Names of the segments of a node.

        Parameters
        ----------
        segmentationNode : vtkMRMLSegmentationNode; may be None.

        Returns
        -------
        List of names, empty for None.
        """
        if segmentationNode is None:
            return []
        segments = segmentationNode.GetSegmentation()
        return [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())]

    def boneSentences(self):
        """The class of bone mineral density with its explanation, as lines."""
        from DCEPerfusionBMDLib import panel

        return panel.bone_sentences(self.result) if self.result is not None else []

    def voxelCurves(self):
        """What looks up the curve of a voxel of the last result, as `DCEPerfusionBMDLib.study.VoxelCurves`."""
        from DCEPerfusionBMDLib.study import VoxelCurves

        return VoxelCurves(self._series, self.result, self._settings)

    def exportResult(self, folder):
        """Write maps (NRRD), tables (CSV), report and provenance of the last result into a folder.

        Parameters
        ----------
        folder : is made when it does not exist; it gets all files or none.

        Raises
        ------
        InputError
            where it cannot be written to.
        """
        from DCEPerfusionBMDLib import scenestudy

        scenestudy.export_result(Path(folder), self._series, self.result, self._history)

    def whatForbidsDicom(self):
        """Why the last result cannot become DICOM objects, as a sentence; empty where it can."""
        import importlib.util

        if importlib.util.find_spec("highdicom") is None:
            return _("DICOM objects need highdicom, which Slicer 5.12 brings and Slicer 5.10 does not.")
        if self._series is None or not self._series.source_hash:
            return _("DICOM objects belong to a series that was read with Load DICOM…; this one was not.")
        return ""

    def exportDicom(self, source, folder, progress=None):
        """Write the last result into a folder as DICOM objects.

        Parameters
        ----------
        source : folder with the DICOM series that was analyzed; its files must be as they were.
        folder : is made when it does not exist; it gets all objects or none.
        progress : called as progress(fraction, message); False cancels.

        Returns
        -------
        Sentences for the user.

        Raises
        ------
        InputError
            where highdicom is missing, the series is another, or the folder cannot be written to.
        Cancelled
            where progress returned False.
        """
        import tempfile

        from DCEPerfusionBMDLib import scenestudy
        from DCEPerfusionBMDLib.export import export_dicom

        chosen = self._pair[0].GetAttribute("DCEPerfusionBMD.sourceSeries")
        history = {**self._history, "choices": {**self._history["choices"], "series": chosen}}
        with tempfile.TemporaryDirectory() as record:
            scenestudy.export_result(Path(record), self._series, self.result, history)
            return export_dicom(Path(record), Path(source), Path(folder), progress)

    # ---- cohort

    def loadCohortTable(self, path):
        """Read a table of subjects into the scene.

        Parameters
        ----------
        path : comma, semicolon or tab separated file.

        Returns
        -------
        vtkMRMLTableNode, every cell as text.

        Raises
        ------
        InputError
            where the file cannot be read or is empty.
        """
        from DCEPerfusionBMDLib import scenestudy

        return scenestudy.read_table_file(slicer.mrmlScene, Path(path))

    def loadMadeUpCohort(self, seed=2019):
        """Put a table of 197 made-up subjects into the scene, to try things on.

        Parameters
        ----------
        seed : of the random numbers.

        Returns
        -------
        vtkMRMLTableNode, a row per subject.
        """
        from DCEPerfusionBMDLib import scenecohort

        name = slicer.mrmlScene.GenerateUniqueName("Made-up cohort")
        return scenecohort.write_made_up_cohort(slicer.mrmlScene, name, seed)

    def readCohort(self, tableNode, settings):
        """The cohort in a table node; what was read, or why it cannot be, is kept until the table changes.

        Parameters
        ----------
        tableNode : vtkMRMLTableNode, a row per subject or per vertebra.
        settings : `DCEPerfusionBMDLib.settings.CohortSettings`.

        Returns
        -------
        `DCEPerfusionBMDLib.cohort.Cohort`, in canonical units.

        Raises
        ------
        InputError
            naming row and column of what cannot be read.
        """
        from DCEPerfusionBMDLib import scenecohort
        from DCEPerfusionBMDLib.errors import InputError

        key = (tableNode.GetID(), tableNode.GetMTime(), settings.classification, settings.t_score_rounding)
        if self._cohortRead[0] != key:
            try:
                self._cohortRead = (key, scenecohort.read_cohort_node(tableNode, settings))
            except InputError as error:
                self._cohortRead = (key, error)
        found = self._cohortRead[1]
        if isinstance(found, InputError):
            raise InputError(str(found))
        return found

    def analyzeCohort(self, tableNode, settings=None, progress=None):
        """Compare the subjects of a table; put tables, statistics and charts into the scene.

        Parameters
        ----------
        tableNode : a row per subject, or per vertebra; its columns are told by name and unit.
        settings : `DCEPerfusionBMDLib.settings.CohortSettings`; the defaults when None.
        progress : called as progress(fraction, message); where it returns False, the scene stays as it was.

        Returns
        -------
        `DCEPerfusionBMDLib.scenecohort.CohortNodes`: folder, tables and charts by name.

        Raises
        ------
        InputError
            naming what is wrong with the table.
        Cancelled
            where progress returned False.

        Example
        -------
        >>> logic = DCEPerfusionBMDLogic()
        >>> nodes = logic.analyzeCohort(logic.loadMadeUpCohort())
        >>> nodes.tables["table3"].GetNumberOfRows()
        3
        >>> nodes.charts["figure1.ktrans_per_min"].GetXAxisTitle()
        'Age (years)'
        """
        from DCEPerfusionBMDLib import scenecohort
        from DCEPerfusionBMDLib.cohort import analyze_cohort
        from DCEPerfusionBMDLib.settings import CohortSettings

        settings = settings if settings is not None else CohortSettings()
        result = analyze_cohort(self.readCohort(tableNode, settings), settings, progress)
        nodes = scenecohort.write_cohort_result(slicer.mrmlScene, result, tableNode)
        self.cohortResult, self._cohortTable = result, tableNode
        return nodes

    def cohortNodes(self, tableNode):
        """Tables and charts of the result of a table node.

        Parameters
        ----------
        tableNode : vtkMRMLTableNode that was analyzed; may be None.

        Returns
        -------
        Nodes by `table.` or `chart.` and their name; empty where there is no result.
        """
        from DCEPerfusionBMDLib import scenecohort

        if tableNode is None:
            return {}
        found = scenecohort.cohort_nodes(slicer.mrmlScene, tableNode)
        tables = {f"table.{name}": node for name, node in found.tables.items()}
        return {**tables, **{f"chart.{name}": node for name, node in found.charts.items()}}

    def cohortResultOf(self, tableNode):
        """The last result of a cohort, where it is that of a table node.

        Parameters
        ----------
        tableNode : vtkMRMLTableNode; may be None.

        Returns
        -------
        `DCEPerfusionBMDLib.cohort.CohortResult`, or None.
        """
        return self.cohortResult if tableNode is not None and self._cohortTable is tableNode else None

    def writeCohortReport(self, folder, progress=None):
        """Write tables (CSV), figures and report of the last cohort into a folder.

        Parameters
        ----------
        folder : is made when it does not exist; it gets all files or none.
        progress : called as progress(fraction, message); False cancels.

        Returns
        -------
        Sentences for the user.

        Raises
        ------
        InputError
            where the folder cannot be written to.
        Cancelled
            where progress returned False.
        """
        from DCEPerfusionBMDLib.export.cohortfiles import write_cohort

        version = getattr(slicer.app, "applicationVersion", "")
        host = {"Slicer": version} if version else None
        return write_cohort(self.cohortResult, Path(folder), progress, host=host)

    @staticmethod
    def _report(progress, fraction, message):
        from DCEPerfusionBMDLib.errors import Cancelled

        if progress is not None and not progress(fraction, message):
            raise Cancelled


def ownerOf(seriesNode):
    """The node that results belong to: the sequence that a volume shows, else the node itself."""
    if seriesNode is None:
        return None
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(seriesNode)
    return browser.GetSequenceNode(seriesNode) if browser is not None else seriesNode


def checkLibrary():
    """Refuse a library that does not lie beside this file, such as one that pip has installed elsewhere."""
    import DCEPerfusionBMDLib

    beside = Path(__file__).resolve().parent / "DCEPerfusionBMDLib"
    found = Path(DCEPerfusionBMDLib.__file__).resolve().parent
    if found != beside:
        raise RuntimeError(
            _(
                "The library of this module is {beside}, but Python found another one in {found}. Remove that one "
                "(pip uninstall dce-perfusion-bmd) and restart Slicer."
            ).format(beside=beside, found=found)
        )


#
# DCEPerfusionBMDTest
#


class DCEPerfusionBMDTest(ScriptedLoadableModuleTest):
    """The module's self test, run inside Slicer."""

    tolerance = 0.05

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for test in (
            self.test_libraryImports,
            self.test_phantomFromSampleDataToReload,
            self.test_cancelAndMissingInputs,
            self.test_twoStudiesAndSceneClose,
            self.test_cohort,
        ):
            self.setUp()
            test()

    def test_libraryImports(self):
        """The library beside the module is the one that is used, and its parts import with what Slicer bundles."""
        import importlib

        self.assertRegex(DCEPerfusionBMDLogic().libraryVersion(), r"^\d+\.\d+\.\d+")
        for name in ("settings", "quantities", "tables", "kinetics", "study", "dicomio", "scene", "desktop"):
            importlib.import_module("DCEPerfusionBMDLib." + name)

    def test_phantomFromSampleDataToReload(self):
        """Sample data, Apply in the panel, what it gives, and the same after the scene was saved and read."""
        import tempfile

        if sampleSource() is None:  # it is there from the start, unless the module came later
            registerSampleData()
        source = sampleSource()
        source.customDownloader(source)
        slicer.util.selectModule("DCEPerfusionBMD")
        widget = slicer.modules.dceperfusionbmd.widgetRepresentation().self()
        widget.enter()
        parameterNode = widget.logic.getParameterNode()
        self.assertIsNotNone(parameterNode.series)
        self.assertIsNotNone(parameterNode.segmentation)
        self.checkRegions(widget)
        self.assertTrue(widget.ui.applyButton.enabled, widget.ui.applyButton.toolTip)
        self.assertTrue(widget.ui.findingsLabel.text)  # of the arterial input, before there is a result
        widget.onApply()
        nodes = widget.logic.resultNodes(parameterNode.series, parameterNode.segmentation)
        self.checkPhantom(nodes)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
        self.assertGreater(widget.ui.mapSelector.count, 0)  # the open panel follows the scene
        self.assertTrue(widget.ui.applyButton.enabled, widget.ui.applyButton.toolTip)
        parameterNode = widget.logic.getParameterNode()
        self.checkPhantom(widget.logic.resultNodes(parameterNode.series, parameterNode.segmentation))

    def checkRegions(self, widget):
        """Each segment is taken for what it is."""
        from DCEPerfusionBMDLib.phantom import LEVELS

        table = widget.ui.regionsTable
        found = [table.cellWidget(row, 1).currentText for row in range(table.rowCount)]
        self.assertEqual(found, [*LEVELS, _("artery")])

    def checkPhantom(self, nodes):
        """Five levels, each near the truth of the phantom."""
        from DCEPerfusionBMDLib.phantom import LEVELS

        table = nodes["table.vertebrae"].GetTable()
        self.assertEqual(table.GetNumberOfRows(), len(LEVELS))
        for n in range(table.GetNumberOfRows()):
            truth = LEVELS[table.GetColumnByName("level").GetValue(n)].ktrans_per_min
            found = table.GetColumnByName("ktrans_per_min").GetValue(n)
            self.assertLess(abs(found / truth - 1.0), self.tolerance)
        self.assertEqual(nodes["map.ktrans"].GetVoxelValueUnits().GetCodeValue(), "/min")
        self.assertEqual(nodes["chart.tissue"].GetNumberOfPlotSeriesNodes(), 2 * len(LEVELS))

    def test_cancelAndMissingInputs(self):
        """A canceled or refused analysis leaves the scene as it was; the panel says what is missing."""
        from DCEPerfusionBMDLib.errors import Cancelled

        widget = slicer.modules.dceperfusionbmd.widgetRepresentation().self()
        widget.enter()
        self.assertFalse(widget.ui.applyButton.enabled)
        self.assertTrue(widget.ui.applyButton.toolTip)
        logic = DCEPerfusionBMDLogic()
        inputs = logic.loadPhantom()
        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(Cancelled):
            logic.analyze(inputs["series"], inputs["segmentation"], progress=lambda fraction, message: fraction < 0.5)
        artery = inputs["segmentation"].GetSegmentation().GetSegmentIdBySegmentName("aorta")
        inputs["segmentation"].GetSegmentation().RemoveSegment(artery)
        with self.assertRaises(settings.InputError):
            logic.analyze(inputs["series"], inputs["segmentation"])
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_twoStudiesAndSceneClose(self):
        """Two studies keep apart; closing the scene empties the open panel, which can be used again."""
        widget = slicer.modules.dceperfusionbmd.widgetRepresentation().self()
        widget.enter()
        found = []
        for _study in range(2):
            inputs = widget.logic.loadPhantom()
            found.append(widget.logic.analyze(inputs["series"], inputs["segmentation"]))
        first, second = ({node.GetID() for node in nodes.values()} for nodes in found)
        self.assertFalse(first & second)
        slicer.mrmlScene.Clear()
        self.assertIsNone(widget.logic.result)
        widget.enter()
        self.assertEqual(widget.ui.mapSelector.count, 0)
        self.assertFalse(widget.ui.applyButton.enabled)

    def test_cohort(self):
        """A made-up cohort is compared; a second run updates what the first has made."""
        logic = DCEPerfusionBMDLogic()
        table = logic.loadMadeUpCohort()
        quick = settings.CohortSettings(resamples=0)
        nodes = logic.analyzeCohort(table, quick)
        self.assertEqual(nodes.tables["table3"].GetNumberOfRows(), 3)
        self.assertEqual(nodes.charts["figure1.ktrans_per_min"].GetYAxisTitle(), "Ktrans (1/min)")
        before = slicer.mrmlScene.GetNumberOfNodes()
        logic.analyzeCohort(table, quick)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
