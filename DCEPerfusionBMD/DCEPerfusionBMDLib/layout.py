"""The arrangement of views in which a result is shown, as Slicer describes one; it is known from the start."""

from __future__ import annotations

from typing import Any

LAYOUT_ID = 20191  # own layouts have large numbers, so that they meet no other
CURVES_VIEW, TABLE_VIEW, INPUT_VIEW = "DCEPerfusionBMDCurves", "DCEPerfusionBMDTable", "DCEPerfusionBMDInput"
DESCRIPTION = f"""
<layout type="horizontal" split="true">
 <item splitSize="550">
  <layout type="vertical" split="true">
   <item splitSize="600"><view class="vtkMRMLSliceNode" singletontag="Yellow">
    <property name="orientation" action="default">Sagittal</property>
    <property name="viewlabel" action="default">Y</property>
    <property name="viewcolor" action="default">#EDD54C</property>
   </view></item>
   <item splitSize="400"><view class="vtkMRMLSliceNode" singletontag="Red">
    <property name="orientation" action="default">Axial</property>
    <property name="viewlabel" action="default">R</property>
    <property name="viewcolor" action="default">#F34A33</property>
   </view></item>
  </layout>
 </item>
 <item splitSize="450">
  <layout type="vertical" split="true">
   <item splitSize="550"><view class="vtkMRMLPlotViewNode" singletontag="{CURVES_VIEW}">
    <property name="viewlabel" action="default">C</property>
   </view></item>
   <item splitSize="450"><view class="vtkMRMLTableViewNode" singletontag="{TABLE_VIEW}">
    <property name="viewlabel" action="default">T</property>
   </view></item>
  </layout>
 </item>
</layout>
"""


def register(node: Any) -> None:
    """Make our arrangement known to a vtkMRMLLayoutNode, without choosing it.

    A scene holds the number of its arrangement only: a session that opens it must know the arrangement before.
    """
    if not node.IsLayoutDescription(LAYOUT_ID):
        node.AddLayoutDescription(LAYOUT_ID, DESCRIPTION)
