"""Enough of the Slicer desktop to run the module file without it: Qt by PySide6, MRML by slicer-core.

`qt` and `ctk` are modules over PySide6 whose widgets have their properties as attributes, as PythonQt gives them.
Slicer's own Python files (`parameterNodeWrapper`, `ScriptedLoadableModule`, `i18n`) are used where the environment
variable DCE_SLICER_PYTHON names the folder that holds them in `slicer/`; else small ones of the same behavior that are
written here. Everything else of the application (layouts, dialogs, other modules) does as little as the module needs.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import enum
import importlib
import logging
import os
import re
import sys
import types
import typing
import unittest
from pathlib import Path
from typing import Any

import slicer
import vtk
from DCEPerfusionBMDLib.headless import HeadlessSlicer

MODULE = Path(__file__).resolve().parents[1] / "DCEPerfusionBMD"
SLICER_PYTHON = os.environ.get("DCE_SLICER_PYTHON", "")
# PySide6 6.12 gives back references to these too often; before Python 3.12 they run out, and the process aborts.
if sys.version_info < (3, 12):
    for _constant in (None, True, False):
        ctypes.c_ssize_t.from_address(id(_constant)).value += 1_000_000_000
_AS_ATTRIBUTES = 0x02  # PySide6's feature `true_property`


def start() -> Application:
    """The application of this process; started the first time.

    Raises
    ------
    unittest.SkipTest
        where PySide6 is absent.
    """
    if _started:
        return _started[0]
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        from PySide6 import QtUiTools  # noqa: F401
    except ImportError as error:  # or a system library that it needs
        if os.environ.get("DCE_REFERENCE_DATA"):  # the gate promises that nothing is skipped
            raise AssertionError(f"PySide6 is absent although DCE_REFERENCE_DATA is set: {error}") from error
        raise unittest.SkipTest(f"the tests of the panel need the test-desktop extra: {error}") from error
    _started.append(Application())
    return _started[0]


_started: list[Application] = []


class Application:
    """What stands in for `slicer.app` and the modules around it.

    Attributes
    ----------
    host : the scene with its logics.
    errors, statuses : what was shown to the user.
    open_under_errors : the progress dialogs that were open when an error was shown.
    pumped : how often events were let in; `on_pump`, where it is set, is called then.
    questions, agrees : what the user was asked, and the answer.
    installed : what Slicer was to install; `on_install`, where it is set, is called then.
    """

    def __init__(self) -> None:
        from PySide6 import QtWidgets

        self.qt_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self.host = HeadlessSlicer()
        self.errors: list[str] = []
        self.statuses: list[str] = []
        self.open_under_errors: list[Any] = []
        self.pumped = 0
        self.on_pump: typing.Callable[[], None] | None = None
        self.dialogs: list[Any] = []
        self.questions: list[str] = []
        self.agrees = False
        self.installed: list[str] = []
        self.on_install: typing.Callable[[], None] | None = None
        self.module_folder = MODULE
        self._install_qt()
        self._install_slicer()

    # ---- slicer.app

    def processEvents(self) -> None:
        self.pumped += 1
        if self.on_pump is not None:
            self.on_pump()
        self.qt_application.processEvents()

    def translate(self, context: str, text: str) -> str:
        from PySide6 import QtCore

        return QtCore.QCoreApplication.translate(context, text)

    def loadTranslations(self, folder: str) -> None:
        self.translations = folder

    def connect(self, signal: str, action: Any) -> None:
        self.startup = action

    def moduleManager(self) -> Any:
        return types.SimpleNamespace(connect=lambda *_: None, disconnect=lambda *_: None)

    def layoutManager(self) -> Any:
        return self._layouts

    def testingEnabled(self) -> bool:
        return False

    def setOverrideCursor(self, cursor: Any) -> None:
        pass

    def restoreOverrideCursor(self) -> None:
        pass

    # ---- Qt

    def _install_qt(self) -> None:
        from PySide6 import QtCore, QtGui, QtWidgets
        from shibokensupport import feature

        self._feature = feature
        qt = types.ModuleType("qt")
        for source in (QtCore, QtGui, QtWidgets):
            for name in dir(source):
                if name.startswith("Q"):
                    setattr(qt, name, getattr(source, name))
        ctk = types.ModuleType("ctk")
        self.widget_classes = widgets()
        for name, widget in self.widget_classes.items():
            setattr(ctk if name.startswith("ctk") else slicer, name, widget)
        for name in ("ctkCheckBox", "ctkComboBox", "ctkSliderWidget", "ctkDoubleSlider", "ctkDoubleSpinBox"):
            setattr(ctk, name, type(name, (), {}))
        for name in ("ctkRangeWidget", "ctkDoubleRangeSlider", "ctkPathLineEdit", "ctkDirectoryButton"):
            setattr(ctk, name, type(name, (), {}))
        for name in ("ctkColorPickerButton", "ctkCheckablePushButton"):
            setattr(ctk, name, type(name, (), {}))
        for name in ("qMRMLSliderWidget", "qMRMLSpinBox", "qMRMLRangeWidget", "qMRMLSubjectHierarchyComboBox"):
            setattr(slicer, name, type(name, (), {}))
        for name in ("qMRMLSubjectHierarchyTreeView", "qMRMLCheckableNodeComboBox", "qMRMLColorTableComboBox"):
            setattr(slicer, name, type(name, (), {}))
        sys.modules["qt"], sys.modules["ctk"] = qt, ctk
        self.as_pythonqt("slicer.util", __name__)

    def as_pythonqt(self, *module_names: str) -> None:
        """Code of these modules sees the properties of widgets as attributes."""
        for name in module_names:
            self._feature.set_selection(_AS_ATTRIBUTES, name)

    # ---- slicer

    def _install_slicer(self) -> None:
        scene, application = self.host.scene, self.host.application
        slicer.mrmlScene = scene
        slicer.app = self
        logics = {}
        for name, class_name in (("colors", "vtkSlicerColorLogic"), ("markups", "vtkSlicerMarkupsLogic")):
            logics[name] = getattr(slicer, class_name)()
            logics[name].SetMRMLApplicationLogic(application)
            logics[name].SetMRMLScene(scene)
        logics["sequences"] = application.GetModuleLogic("Sequences")
        logics["segmentations"] = application.GetModuleLogic("Segmentations")
        slicer.modules = types.SimpleNamespace(
            **{name: types.SimpleNamespace(logic=lambda made=made: made) for name, made in logics.items()}
        )
        slicer.modules.dceperfusionbmd = types.SimpleNamespace(widgetRepresentation=lambda: None)
        self._layouts = Layouts(scene, application)
        for class_name in ("vtkMRMLCrosshairNode", "vtkMRMLLayoutNode"):
            if not scene.GetNumberOfNodesByClass(class_name):
                node = scene.CreateNodeByClass(class_name)
                node.UnRegister(None)
                node.SetSingletonTag("default")
                scene.AddNode(node)
        util = slicer.util
        util.loadUI = self.load_ui
        util.childWidgetVariables = child_widget_variables
        util.mainWindow = lambda: self  # it is there; the dialogs over it are stand-ins
        util.errorDisplay = self.error_display
        util.messageBox = self.message_box
        util.confirmOkCancelDisplay = self.confirm
        util.pip_install = self.pip_install
        util.showStatusMessage = lambda text, duration=0: self.statuses.append(text)
        util.createProgressDialog = self.create_progress_dialog
        util.settingsValue = lambda key, default, converter=None: default
        util.modulePath = lambda name: str(MODULE / f"{name}.py")
        util.selectModule = lambda name: None
        for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper"):
            sys.modules.pop(f"slicer.{name}", None)
        if SLICER_PYTHON:
            slicer.__path__.append(str(Path(SLICER_PYTHON) / "slicer"))
            self.as_pythonqt(
                "slicer.ScriptedLoadableModule",
                "slicer.parameterNodeWrapper.guiConnectors",
                "slicer.parameterNodeWrapper.wrapper",
                "slicer.parameterNodeWrapper.serializers",
            )
        else:
            for name, members in (
                ("i18n", {"tr": lambda text: self.translate("DCEPerfusionBMD", text), "translate": self.translate}),
                ("ScriptedLoadableModule", {each.__name__: each for each in module_classes()}),
                ("parameterNodeWrapper", parameter_node_members()),
            ):
                module = types.ModuleType(f"slicer.{name}")
                vars(module).update(members)
                sys.modules[module.__name__] = module
                setattr(slicer, name, module)

    def message_box(self, text: str, parent: Any = None, **properties: Any) -> None:
        self.errors.append(text)
        self.open_under_errors.append([dialog for dialog in self.dialogs if dialog.visible])

    def confirm(self, text: str, windowTitle: str | None = None, parent: Any = None, **properties: Any) -> bool:
        self.questions.append(text)
        return self.agrees

    def pip_install(self, requirements: str) -> None:
        """As of Slicer 5.10, which takes nothing but the requirements."""
        self.installed.append(requirements)
        if self.on_install is not None:
            self.on_install()

    def error_display(self, text: str, parent: Any = None, **properties: Any) -> None:
        """As in Slicer, what is shown is logged too."""
        logging.error(text)
        self.message_box(text)

    def load_ui(self, path: str) -> Any:
        from PySide6 import QtCore, QtUiTools

        loader = QtUiTools.QUiLoader()
        for widget in self.widget_classes.values():
            loader.registerCustomWidget(widget)
        # a signal with a VTK object exists in Slicer only; setMRMLScene of the stand-in passes the scene on
        text = re.sub(r"<connection>.*?</connection>", "", Path(path).read_text(encoding="utf-8"), flags=re.DOTALL)
        buffer = QtCore.QBuffer()
        buffer.setData(text.encode())
        return loader.load(buffer)

    def create_progress_dialog(self, parent: Any = None, **properties: Any) -> Any:
        from PySide6 import QtWidgets

        dialog = QtWidgets.QProgressDialog()
        for name, value in properties.items():
            if not dialog.setProperty(name, value):
                raise AttributeError(f"QProgressDialog has no property {name}")
        dialog.show()
        self.dialogs.append(dialog)
        return dialog

    def module(self) -> Any:
        """The module file, imported; the same one each time."""
        name = "DCEPerfusionBMD"
        if name not in sys.modules:
            self.as_pythonqt(name)
            if str(MODULE) not in sys.path:
                sys.path.insert(0, str(MODULE))
            importlib.import_module(name)
        return sys.modules[name]

    def widget(self) -> Any:
        """A new panel, as the application makes one, entered."""
        parent = self.widget_classes["qMRMLWidget"]()
        from PySide6 import QtWidgets

        parent.setLayout(QtWidgets.QVBoxLayout())
        parent.isEntered = True
        panel = self.module().DCEPerfusionBMDWidget(parent)
        panel.setup()
        panel.enter()
        return panel

    def close_scene(self) -> None:
        """As the user closes it: views and crosshair stay."""
        self.host.scene.Clear(False)


class Layouts:
    """Stands in for the layout manager: it makes the view nodes of a layout."""

    def __init__(self, scene: Any, application: Any) -> None:
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
        self._slices = []
        for name in ("Red", "Yellow"):
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(application)
            logic.SetMRMLScene(scene)
            logic.AddSliceNode(name)
            self._slices.append(logic)
        self.current = 0

    def layoutLogic(self) -> Any:
        return types.SimpleNamespace(GetLayoutNode=self._logic.GetLayoutNode)

    def setLayout(self, number: int) -> None:
        self.current = number
        self._logic.GetLayoutNode().SetViewArrangement(number)

    def mrmlSliceLogics(self) -> Any:
        logics = vtk.vtkCollection()
        for logic in self._slices:
            logics.AddItem(logic)
        return logics


def widgets() -> dict[str, Any]:
    """Stand-ins for the widgets of CTK and MRML, by name."""
    from PySide6 import QtCore, QtWidgets

    class qMRMLWidget(QtWidgets.QWidget):  # noqa: N801
        mrmlSceneChanged = QtCore.Signal(object)

        def setMRMLScene(self, scene: Any) -> None:
            self.scene = scene
            for child in self.findChildren(QtWidgets.QWidget):
                if hasattr(child, "setMRMLScene"):
                    child.setMRMLScene(scene)

    class ctkCollapsibleButton(QtWidgets.QWidget):  # noqa: N801
        def __init__(self, parent: Any = None) -> None:
            super().__init__(parent)
            self._text, self._collapsed = "", False

        def _get_text(self) -> str:
            return self._text

        def _set_text(self, text: str) -> None:
            self._text = text

        def _get_collapsed(self) -> bool:
            return self._collapsed

        def _set_collapsed(self, collapsed: bool) -> None:
            self._collapsed = collapsed

        text = QtCore.Property(str, _get_text, _set_text)
        collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)

        def event(self, event: Any) -> bool:
            if event.type() in (QtCore.QEvent.Type.LayoutRequest, QtCore.QEvent.Type.Polish) and self.layout():
                self.layout().contentsMargins = QtCore.QMargins(9, 32, 9, 9)
                for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly):
                    if self._collapsed:
                        child.hide()
                if self._collapsed:
                    self.setFixedHeight(28)
            return super().event(event)

        def paintEvent(self, event: Any) -> None:
            painter = QtWidgets.QStylePainter(self)
            option = QtWidgets.QStyleOptionButton()
            option.initFrom(self)
            option.rect = QtCore.QRect(0, 0, self.width, 26)
            option.text = ("▸ " if self._collapsed else "▾ ") + self._text
            painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButton, option)

    class qMRMLNodeComboBox(QtWidgets.QComboBox):  # noqa: N801
        currentNodeChanged = QtCore.Signal(object)

        def __init__(self, parent: Any = None) -> None:
            super().__init__(parent)
            # the ctkComboBox inside cuts long names in the middle
            self.sizeAdjustPolicy = QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            self.scene: Any = None
            self.nodeTypes: typing.Sequence[str] = ()
            self._model = types.SimpleNamespace(hiddenNodeIDs=[])
            self._node: Any = None

        def setMRMLScene(self, scene: Any) -> None:
            self.scene = scene

        def currentNode(self) -> Any:
            return self._node

        def setCurrentNode(self, node: Any) -> None:
            if node is not None and not any(node.IsA(name) for name in self.nodeTypes):
                raise AssertionError(f"{node.GetClassName()} is none of {self.nodeTypes}")
            if node is not None and node.GetID() in self._model.hiddenNodeIDs:
                node = None
            if node is not self._node:
                self._node = node
                self.clear()
                self.addItem(node.GetName() if node is not None else "None")
                self.currentNodeChanged.emit(node)

        def sortFilterProxyModel(self) -> Any:
            return self._model

    class qMRMLPlotWidget(QtWidgets.QFrame):  # noqa: N801
        def setMRMLScene(self, scene: Any) -> None:
            self.scene = scene

        def setMRMLPlotViewNode(self, node: Any) -> None:
            self.view = node

    return {each.__name__: each for each in (qMRMLWidget, ctkCollapsibleButton, qMRMLNodeComboBox, qMRMLPlotWidget)}


def child_widget_variables(widget: Any) -> Any:
    """The named widgets in a widget as attributes of an object."""
    from PySide6 import QtWidgets

    found = types.SimpleNamespace()
    for child in widget.findChildren(QtWidgets.QWidget):
        if child.objectName and isinstance(child, QtWidgets.QWidget):
            setattr(found, child.objectName, child)
    return found


# ---- what Slicer's Python files do, as far as the module needs it


def module_classes() -> list[type]:
    """The base classes of a scripted module."""

    class ScriptedLoadableModule:
        def __init__(self, parent: Any) -> None:
            self.parent = parent

    class ScriptedLoadableModuleWidget:
        def __init__(self, parent: Any = None) -> None:
            super().__init__()
            self.parent = parent
            self.layout = parent.layout()
            self.moduleName = type(self).__name__.removesuffix("Widget")

        def setup(self) -> None:
            pass

        def resourcePath(self, name: str) -> str:
            return str(MODULE / "Resources" / name)

        def onReload(self) -> None:
            slicer.util.reloadScriptedModule(self.moduleName)

    class ScriptedLoadableModuleLogic:
        def __init__(self, parent: Any = None) -> None:
            super().__init__()
            self.moduleName = type(self).__name__.removesuffix("Logic")

        def getParameterNode(self) -> Any:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is None:
                node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
                node.UnRegister(None)
                node.SetSingletonTag(self.moduleName)
                node.SetAttribute("ModuleName", self.moduleName)
                node.SetName(self.moduleName)
                node = slicer.mrmlScene.AddNode(node)
            return node

    class ScriptedLoadableModuleTest(unittest.TestCase):
        def runTest(self) -> None:
            pass

    return [
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ]


class Default:
    def __init__(self, value: Any = None) -> None:
        self.value = value


class WithinRange:
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} and {self.maximum}")


class Choice:
    def __init__(self, choices: typing.Sequence[Any]) -> None:
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"{value} is none of {self.choices}")


@dataclasses.dataclass
class _Member:
    """One parameter: type, annotations, default; stored as Slicer stores it."""

    type: Any
    annotations: tuple[Any, ...]
    default: Any

    @classmethod
    def of(cls, hint: Any, given: Any) -> _Member:
        base, *annotations = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        told = next((each.value for each in annotations if isinstance(each, Default)), None)
        return cls(base, tuple(annotations), told if given is None else given)

    def find(self, kind: type) -> Any:
        return next((each for each in self.annotations if isinstance(each, kind)), None)

    @property
    def is_node(self) -> bool:
        return not (isinstance(self.type, type) and issubclass(self.type, (int, float, str, bool, enum.Enum)))

    def write(self, node: Any, name: str, value: Any) -> None:
        for check in (self.find(WithinRange), self.find(Choice)):
            if check is not None:
                check.validate(value)
        if self.is_node:
            node.SetParameter(name, "")
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(name, value.name if isinstance(value, enum.Enum) else str(value))

    def read(self, node: Any, name: str) -> Any:
        if self.is_node:
            return node.GetNodeReference(name)
        text = node.GetParameter(name)
        if isinstance(self.type, type) and issubclass(self.type, enum.Enum):
            return self.type[text]
        return text == "True" if self.type is bool else self.type(text)


def _members_of(described: type) -> dict[str, _Member]:
    hints = typing.get_type_hints(described, include_extras=True)
    return {name: _Member.of(hint, getattr(described, name, None)) for name, hint in hints.items()}


class _Pack:
    """A pack that is stored in a parameter node under a prefix."""

    def __init__(self, node: Any, prefix: str, members: dict[str, _Member]) -> None:
        object.__setattr__(self, "_at", (node, prefix, members))

    def __getattr__(self, name: str) -> Any:
        node, prefix, members = self._at
        if name not in members:
            raise AttributeError(name)
        return members[name].read(node, f"{prefix}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        node, prefix, members = self._at
        members[name].write(node, f"{prefix}.{name}", value)


def parameter_node_members() -> dict[str, Any]:
    """What the module imports of `slicer.parameterNodeWrapper`."""

    def parameterPack(described: type) -> type:
        described.packMembers = _members_of(described)  # type: ignore[attr-defined]
        return described

    def parameterNodeWrapper(described: type) -> type:
        members = _members_of(described)
        for name in members:
            if name in vars(described):
                delattr(described, name)

        class ParameterNode(_ParameterNode):
            __doc__ = described.__doc__

        ParameterNode.members = members
        ParameterNode.__name__ = described.__name__
        return ParameterNode

    return {
        "parameterPack": parameterPack,
        "parameterNodeWrapper": parameterNodeWrapper,
        **{each.__name__: each for each in (Default, WithinRange, Choice)},
    }


class _ParameterNode:
    members: typing.ClassVar[dict[str, _Member]] = {}

    def __init__(self, node: Any) -> None:
        object.__setattr__(self, "parameterNode", node)
        object.__setattr__(self, "_bound", {})
        for name, member, default in self._flat():
            known = node.GetNodeReferenceID(name) if member.is_node else node.HasParameter(name)
            if not known:
                member.write(node, name, default)

    def _flat(self) -> typing.Iterator[tuple[str, _Member, Any]]:
        for name, member in self.members.items():
            inner = getattr(member.type, "packMembers", None)
            if inner is None:
                yield name, member, member.default
            else:
                for part, each in inner.items():
                    yield f"{name}.{part}", each, each.default

    def _member(self, dotted: str) -> _Member:
        first, _, rest = dotted.partition(".")
        member = self.members[first]
        return member.type.packMembers[rest] if rest else member

    def __getattr__(self, name: str) -> Any:
        if name not in self.members:
            raise AttributeError(name)
        member = self.members[name]
        inner = getattr(member.type, "packMembers", None)
        node = self.parameterNode
        return member.read(node, name) if inner is None else _Pack(node, name, inner)

    def __setattr__(self, name: str, value: Any) -> None:
        self.members[name].write(self.parameterNode, name, value)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, before: int) -> None:
        self.parameterNode.EndModify(before)

    def AddObserver(self, event: Any, action: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, action, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def connectGui(self, ui: Any) -> int:
        editors = {}
        for widget in vars(ui).values():
            if name := widget.property("SlicerParameterName"):
                editors[name] = _Editor(widget, self._member(name))
        writing = [False]

        def to_widgets(*_: Any) -> None:
            if not writing[0]:
                writing[0] = True
                with contextlib.ExitStack() as stack:
                    stack.callback(lambda: writing.__setitem__(0, False))
                    for name, editor in editors.items():
                        editor.write(self._member(name).read(self.parameterNode, name))

        def to_node(name: str) -> None:
            if not writing[0]:
                self._member(name).write(self.parameterNode, name, editors[name].read())

        to_widgets()
        for name, editor in editors.items():
            editor.connect(lambda name=name: to_node(name))
        tag = len(self._bound)
        self._bound[tag] = (self.AddObserver(vtk.vtkCommand.ModifiedEvent, to_widgets), editors)
        return tag

    def disconnectGui(self, tag: Any) -> None:
        if tag in self._bound:
            observer, editors = self._bound.pop(tag)
            self.RemoveObserver(observer)
            for editor in editors.values():
                editor.disconnect()


class _Editor:
    """One widget and the parameter it edits."""

    def __init__(self, widget: Any, member: _Member) -> None:
        from PySide6 import QtWidgets

        self._widget: Any = widget
        self._action: Any = None
        self._property = ""
        self._to_property: Any = lambda value: value
        kind = type(widget)
        if kind is QtWidgets.QComboBox:
            choice = member.find(Choice)
            self._choices = list(choice.choices) if choice is not None else list(member.type)
            widget.clear()
            for each in self._choices:
                widget.addItem(each.label() if isinstance(each, enum.Enum) else str(each))
            self._signal = widget.currentIndexChanged
            self._property, self._to_property = "currentIndex", self._choices.index
        elif kind in (QtWidgets.QSpinBox, QtWidgets.QDoubleSpinBox):
            limits = member.find(WithinRange)
            widget.setRange(limits.minimum, limits.maximum)
            self._signal, self._property = widget.valueChanged, "value"
        elif kind is QtWidgets.QCheckBox:
            self._signal, self._property = widget.stateChanged, "checked"
        elif kind is QtWidgets.QLineEdit:
            self._signal, self._property = widget.textChanged, "text"
        elif hasattr(widget, "currentNodeChanged"):
            widget.nodeTypes = [
                each.__name__ for each in (typing.get_args(member.type) or (member.type,)) if each is not type(None)
            ]
            self._signal = widget.currentNodeChanged
        else:
            raise RuntimeError(f"{widget.objectName}: nothing binds a {kind.__name__} to {member.type}")

    def read(self) -> Any:
        if not self._property:
            return self._widget.currentNode()
        value = getattr(self._widget, self._property)
        return self._choices[value] if self._property == "currentIndex" else value

    def write(self, value: Any) -> None:
        if not self._property:
            self._widget.setCurrentNode(value)
        elif getattr(self._widget, self._property) != self._to_property(value):
            setattr(self._widget, self._property, self._to_property(value))

    def connect(self, action: Any) -> None:
        self._action = lambda *_: action()
        self._signal.connect(self._action)

    def disconnect(self) -> None:
        self._signal.disconnect(self._action)
