"""The extension's CMake files: they list every file, configure, install a library that imports, and keep the rules
of Slicer's Extensions Index that can be checked offline."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "DCEPerfusionBMD"
NEEDS_SLICER = {"scene", "sceneinput", "scenestudy", "desktop", "headless", "cli"}

STUB_CONFIG = """\
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/use.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/generate.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/cpack.cmake")
"""
STUB_USE = """\
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(_module "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(NOT _module_NAME STREQUAL "DCEPerfusionBMD" OR _module_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "bad arguments: ${ARGN}")
  endif()
  foreach(_file IN LISTS _module_SCRIPTS _module_RESOURCES)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${_file}")
      message(FATAL_ERROR "listed but missing: ${_file}")
    endif()
    get_filename_component(_folder "${_file}" DIRECTORY)
    file(COPY "${CMAKE_CURRENT_SOURCE_DIR}/${_file}" DESTINATION "${CMAKE_BINARY_DIR}/installed/${_folder}")
  endforeach()
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(_test "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  get_filename_component(_script "${_test_SCRIPT}" ABSOLUTE)
  if(NOT EXISTS "${_script}")
    message(FATAL_ERROR "test script missing: ${_script}")
  endif()
  file(APPEND "${CMAKE_BINARY_DIR}/unittests.txt" "${_script}\\n")
endmacro()
"""
STUB_CPACK = """\
foreach(_name HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS KEYWORDS DEPENDS RECOMMENDS LICENSE_FILE
        README_FILE)
  if("${EXTENSION_${_name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${_name} is empty")
  endif()
endforeach()
foreach(_name LICENSE_FILE README_FILE)
  if(NOT EXISTS "${EXTENSION_${_name}}")
    message(FATAL_ERROR "EXTENSION_${_name} does not exist: ${EXTENSION_${_name}}")
  endif()
endforeach()
file(WRITE "${CMAKE_BINARY_DIR}/packaged.txt" "${EXTENSION_DESCRIPTION}")
"""
IMPORT_ALL = """\
import importlib, pathlib, sys
copy = pathlib.Path(sys.argv[1]).resolve()
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    if copy not in pathlib.Path(module.__file__).resolve().parents:
        sys.exit(f"{name} was imported from {module.__file__}, not from the installed copy")
"""


def cmake_program() -> str | None:
    """CMake on the path, or the one installed beside this Python."""
    return shutil.which("cmake") or shutil.which("cmake", path=str(Path(sys.executable).parent))


def listed(variable: str) -> list[str]:
    """The files that DCEPerfusionBMD/CMakeLists.txt lists under `variable`."""
    text = re.sub(r"#.*", "", (MODULE / "CMakeLists.txt").read_text(encoding="utf-8"))
    match = re.search(rf"set\(\s*{variable}\s+([^)]*)\)", text)
    if match is None:
        raise AssertionError(f"DCEPerfusionBMD/CMakeLists.txt does not set {variable}")
    return match.group(1).replace("${MODULE_NAME}", "DCEPerfusionBMD").split()


def on_disk() -> tuple[set[str], set[str]]:
    """The scripts and the resources of the module, tests and hidden files left out."""
    scripts: set[str] = set()
    resources: set[str] = set()
    for path in MODULE.rglob("*"):
        relative = path.relative_to(MODULE)
        ignored = any(
            part == "__pycache__" or part.startswith(".") or part.endswith(".egg-info") for part in relative.parts
        )
        if path.is_file() and not ignored and relative.parts[0] not in {"Testing", "CMakeLists.txt"}:
            (scripts if path.suffix == ".py" else resources).add(relative.as_posix())
    return scripts, resources


class TestListedFiles(unittest.TestCase):
    """Slicer installs what is listed and nothing else."""

    def check(self, variable: str, expected: set[str]) -> None:
        names = listed(variable)
        self.assertEqual(len(names), len(set(names)), f"{variable} lists a file twice")
        self.assertEqual(sorted(expected - set(names)), [], f"on disk, but not in {variable}")
        self.assertEqual(sorted(set(names) - expected), [], f"in {variable}, but not on disk")

    def test_scripts(self) -> None:
        self.check("MODULE_PYTHON_SCRIPTS", on_disk()[0])

    def test_resources(self) -> None:
        self.check("MODULE_PYTHON_RESOURCES", on_disk()[1])


@unittest.skipUnless(cmake_program(), "cmake was found neither on the path nor beside this Python")
class TestConfigure(unittest.TestCase):
    """The extension configures against a stand-in for Slicer, and what it would install works."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = Path(folder.name) / "build"
        stub = Path(folder.name) / "stub"
        stub.mkdir()
        for name, text in (
            ("SlicerConfig.cmake", STUB_CONFIG),
            ("use.cmake", STUB_USE),
            ("generate.cmake", ""),
            ("cpack.cmake", STUB_CPACK),
        ):
            (stub / name).write_text(text, encoding="utf-8")
        command = [str(cmake_program()), "-S", str(REPOSITORY), "-B", str(self.build), f"-DSlicer_DIR={stub}"]
        command += ["-DBUILD_TESTING=ON", "-G", "Unix Makefiles"]
        # Nothing is compiled: any program will do for the compilers and for make.
        command += [f"-DCMAKE_{name}={sys.executable}" for name in ("MAKE_PROGRAM", "C_COMPILER", "CXX_COMPILER")]
        command += ["-DCMAKE_C_COMPILER_FORCED=ON", "-DCMAKE_CXX_COMPILER_FORCED=ON"]
        run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_reaches_the_end(self) -> None:
        self.assertTrue((self.build / "packaged.txt").read_text(encoding="utf-8"))

    def test_registers_the_self_test(self) -> None:
        scripts = (self.build / "unittests.txt").read_text(encoding="utf-8").splitlines()
        self.assertEqual([Path(script) for script in scripts], [MODULE / "DCEPerfusionBMD.py"])

    def test_installed_library_imports(self) -> None:
        installed = self.build / "installed"
        names = []
        for path in sorted((MODULE / "DCEPerfusionBMDLib").rglob("*.py")):
            parts = path.relative_to(MODULE).with_suffix("").parts
            if len(parts) < 2 or parts[1] not in NEEDS_SLICER:
                names.append(".".join(part for part in parts if part != "__init__"))
        self.assertIn("DCEPerfusionBMDLib.settings", names)
        run = subprocess.run(
            [sys.executable, "-B", "-c", IMPORT_ALL, str(installed), *names],
            cwd=self.build,
            env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        self.assertEqual(run.returncode, 0, run.stderr)


class TestExtensionsIndexRules(unittest.TestCase):
    """What the checks of the Extensions Index read from the repository."""

    def setUp(self) -> None:
        self.text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")

    def urls(self, pattern: str) -> list[str]:
        match = re.search(pattern, self.text)
        self.assertIsNotNone(match, f"CMakeLists.txt has no match of {pattern}")
        return match.group(1).split() if match else []

    def test_project_name(self) -> None:
        """The first match counts, even in a comment."""
        match = re.search(r"project\s*\(\s*([^\s)]+)", self.text, re.IGNORECASE)
        self.assertEqual(match.group(1) if match else None, "DCEPerfusionBMD")

    def test_image_urls(self) -> None:
        icon = self.urls(r'set\(EXTENSION_ICONURL "([^"]+)"\)')
        screenshots = self.urls(r'set\(EXTENSION_SCREENSHOTURLS "([^"]+)"\)')
        self.assertEqual(len(icon), 1)
        for url in icon + screenshots:
            self.assertRegex(url, r"^https://raw\.githubusercontent\.com/[^/]+/[^/]+/main/\S+\.(png|jpg|gif)$")

    def test_icon(self) -> None:
        """A PNG of 128 x 128 pixels with transparency lies where the URL points to, and is the module's icon too."""
        path = self.urls(r'set\(EXTENSION_ICONURL "([^"]+)"\)')[0].partition("/main/")[2]
        content = (REPOSITORY / path).read_bytes()
        self.assertEqual(content[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual([int.from_bytes(content[start : start + 4], "big") for start in (16, 20)], [128, 128])
        self.assertEqual(content[25], 6, "color type is not RGBA")
        self.assertEqual((MODULE / "Resources" / "Icons" / "DCEPerfusionBMD.png").read_bytes(), content)

    def test_license_file(self) -> None:
        names = {path.name for path in REPOSITORY.iterdir()}
        accepted = {"LICENSE", "LICENCE", "License.txt", "license.txt", "LICENSE.txt", "COPYING", "COPYING.txt"}
        self.assertEqual(names & accepted, {"LICENSE.txt"})
        self.assertIn("Apache License", (REPOSITORY / "LICENSE.txt").read_text(encoding="utf-8"))

    def test_python_only(self) -> None:
        """The Index builds a test package only of extensions without C++."""
        sources = [path for pattern in ("*.cxx", "*.h") for path in MODULE.rglob(pattern)]
        self.assertEqual(sources, [])


if __name__ == "__main__":
    unittest.main()
