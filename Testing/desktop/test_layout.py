"""The panel fits: drawn at 400 pixels, light and dark, with groups open and closed.

`python Testing/desktop/test_layout.py FOLDER` writes the drawings, to be looked at. They show stand-ins for the widgets
of CTK and MRML; they are no screenshots of Slicer.
"""

from __future__ import annotations

import functools
import sys
import typing
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import standin

WIDTH = 400


def draw(
    app: standin.Application, dark: bool, open_all: bool, folder: Path | None = None, filled: bool = False
) -> object:
    """The panel at 400 pixels, laid out; filled, with a result and everything that opens; written as PNG into a folder.

    A filled panel leaves its study in the scene.
    """
    from PySide6 import QtGui, QtWidgets

    application = app.qt_application
    application.setStyle("Fusion")
    palette = QtGui.QPalette()
    if dark:
        roles, color = QtGui.QPalette.ColorRole, QtGui.QColor
        palette.setColor(roles.PlaceholderText, color(130, 130, 130))
        for role in (roles.Window, roles.Base, roles.AlternateBase, roles.Button, roles.ToolTipBase):
            palette.setColor(role, color(50, 50, 50))
        for role in (roles.WindowText, roles.Text, roles.ButtonText, roles.ToolTipText):
            palette.setColor(role, color(230, 230, 230))
        for role in (roles.WindowText, roles.Text, roles.ButtonText):
            palette.setColor(QtGui.QPalette.ColorGroup.Disabled, role, color(130, 130, 130))
    application.setPalette(palette)
    panel = app.widget()
    inside = panel.parent.findChild(QtWidgets.QWidget, "DCEPerfusionBMD")
    for group in inside.findChildren(app.widget_classes["ctkCollapsibleButton"]):
        if open_all:
            group.collapsed = False
    if filled:
        from DCEPerfusionBMDLib import phantom

        usual = phantom.LumbarPhantom
        phantom.LumbarPhantom = functools.partial(usual, rows=96, columns=72, slices=6, duration_s=150.0)
        panel.ui.phantomButton.click()
        phantom.LumbarPhantom = usual
        panel.ui.applyButton.click()
        panel.ui.marginMm.value = 2.5
        panel.ui.cohortTableSelector.setCurrentNode(panel.logic.loadMadeUpCohort())
        panel.ui.compareButton.click()
        for button in (panel.ui.timesButton, panel.ui.warningsButton):
            button.checked = True
    panel.parent.layout().contentsMargins = type(panel.parent.layout().contentsMargins)(0, 0, 0, 0)
    panel.parent.resize(WIDTH, 10)
    panel.parent.show()
    for _ in range(5):
        application.processEvents()
    panel.parent.resize(WIDTH, max(panel.parent.sizeHint.height(), inside.heightForWidth(WIDTH)))
    for _ in range(5):
        application.processEvents()
    if folder is not None:
        state = "filled" if filled else "open" if open_all else "initial"
        name = f"panel-{'dark' if dark else 'light'}-{state}.png"
        panel.parent.grab().save(str(folder / name))
    return panel


class Layout(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.app = standin.start()
        cls.app.as_pythonqt(__name__)

    def test_nothing_is_clipped(self) -> None:
        self.check()

    def test_in_chinese(self) -> None:
        translate(self, self.app)
        self.check()

    def check(self) -> None:
        for open_all, filled in ((False, False), (True, False), (True, True)):
            with self.subTest(open_all=open_all, filled=filled):
                panel = draw(self.app, False, open_all, filled=filled)
                self.fits(panel)
                panel.cleanup()
                panel.parent.deleteLater()
                self.app.close_scene()

    def fits(self, panel: typing.Any) -> None:
        from PySide6 import QtCore, QtWidgets

        self.assertEqual(panel.parent.width, WIDTH, "the panel asks for more width")
        for widget in panel.parent.findChildren(QtWidgets.QWidget):
            if not widget.visible or not widget.objectName or isinstance(widget, QtWidgets.QScrollBar):
                continue
            name = widget.objectName
            if name.startswith("qt_"):
                continue
            right = widget.mapTo(panel.parent, QtCore.QPoint(widget.width, 0)).x()
            self.assertLessEqual(right, WIDTH, f"{name} sticks out")
            if isinstance(widget, (QtWidgets.QLabel, QtWidgets.QPushButton, QtWidgets.QCheckBox)):
                needed = widget.minimumSizeHint.width()
                self.assertGreaterEqual(widget.width, needed, f"{name} is clipped")
            if isinstance(widget, QtWidgets.QLabel):
                if not widget.wordWrap:
                    self.assertGreaterEqual(widget.width, widget.sizeHint.width(), f"{name} is clipped")
                elif widget.text:
                    needed = widget.heightForWidth(widget.width)
                    self.assertGreaterEqual(widget.height, needed, f"{name} is clipped below")
        table = panel.ui.regionsTable
        if table.rowCount:
            self.assertFalse(table.horizontalScrollBar().visible, "the table of segments is too wide")


def translate(test: unittest.TestCase, app: standin.Application) -> None:
    """The panels of a test are made in Chinese."""
    from PySide6 import QtCore

    translator = QtCore.QTranslator()
    folder = standin.MODULE / "Resources" / "Translations"
    test.assertTrue(translator.load(str(folder / "DCEPerfusionBMD_zh_CN.qm")))
    QtCore.QCoreApplication.installTranslator(translator)
    test.addCleanup(QtCore.QCoreApplication.removeTranslator, translator)


class Chinese(unittest.TestCase):
    """The compiled translation is that of the source, and the panel is built with it."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.app = standin.start()
        cls.app.as_pythonqt(__name__)

    def test_panel(self) -> None:
        from PySide6 import QtCore

        folder = standin.MODULE / "Resources" / "Translations"
        translator = QtCore.QTranslator()
        self.assertTrue(translator.load(str(folder / "DCEPerfusionBMD_zh_CN.qm")))
        for item in ElementTree.parse(folder / "DCEPerfusionBMD_zh_CN.ts").getroot().iter("message"):
            found = translator.translate("DCEPerfusionBMD", item.findtext("source"))
            self.assertEqual(found, item.findtext("translation"), "run pyside6-lrelease on the .ts file")
        translate(self, self.app)
        panel = self.app.widget()
        self.addCleanup(panel.parent.deleteLater)
        self.addCleanup(panel.cleanup)
        self.assertEqual(panel.ui.applyButton.text, "应用")
        self.assertEqual(panel.ui.applyButton.toolTip, "请选择动态序列。")
        self.assertEqual(panel.ui.vertebraPart.itemText(1), "椎体")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        started = standin.start()
        started.as_pythonqt("__main__")
        for in_the_dark in (False, True):
            for everything, with_result in ((False, False), (True, False), (True, True)):
                draw(started, in_the_dark, everything, Path(sys.argv[1]), with_result)
                started.close_scene()
    else:
        unittest.main()
