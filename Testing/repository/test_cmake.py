"""The extension's CMake files: they list every file, configure, and install a library that works from where it lies."""

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

FROM_THE_COPY = """\
import os, pathlib, DCEPerfusionBMDLib
assert pathlib.Path(os.environ["DCE_COPY"]).resolve() in pathlib.Path(DCEPerfusionBMDLib.__file__).resolve().parents
"""
QUICK = ("aif", "densitometry", "descriptive", "findings", "relaxation", "settings", "signal", "statistics", "t1")
QUICK += ("tables", "times")


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


def configure(folder: Path) -> Path:
    """Configure the extension against a stand-in for Slicer; the build folder, with what it installs in `installed`."""
    build, stub = folder / "build", folder / "stub"
    stub.mkdir()
    for name, text in (
        ("SlicerConfig.cmake", STUB_CONFIG),
        ("use.cmake", STUB_USE),
        ("generate.cmake", ""),
        ("cpack.cmake", STUB_CPACK),
    ):
        (stub / name).write_text(text, encoding="utf-8")
    command = [str(cmake_program()), "-S", str(REPOSITORY), "-B", str(build), f"-DSlicer_DIR={stub}"]
    command += ["-DBUILD_TESTING=ON", "-G", "Unix Makefiles"]
    # Nothing is compiled: any program will do for the compilers and for make.
    command += [f"-DCMAKE_{name}={sys.executable}" for name in ("MAKE_PROGRAM", "C_COMPILER", "CXX_COMPILER")]
    command += ["-DCMAKE_C_COMPILER_FORCED=ON", "-DCMAKE_CXX_COMPILER_FORCED=ON"]
    run = subprocess.run(command, capture_output=True, encoding="utf-8")
    if run.returncode:
        raise AssertionError(run.stdout + run.stderr)
    return build


def run_from_a_copy(folder: Path, names: list[str]) -> int:
    """Run tests of the library over what is installed, with nothing of this repository in reach; 0 when they pass."""
    shutil.copytree(configure(folder) / "installed", folder / "copy")
    shutil.copytree(REPOSITORY / "Testing", folder / "tests" / "Testing", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPOSITORY / "docs", folder / "tests" / "docs")  # a test compares a page with what is found
    (folder / "tests" / "conftest.py").write_text(FROM_THE_COPY, encoding="utf-8")
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder / "tests")]
    paths = os.pathsep.join(str(folder / name) for name in ("copy", "tests/Testing"))
    tests = [f"Testing/library/{name}" for name in names]
    environment = {**os.environ, "PYTHONPATH": paths, "DCE_COPY": str(folder / "copy")}
    return subprocess.run([*command, *tests], cwd=folder / "tests", env=environment).returncode


@unittest.skipUnless(cmake_program(), "cmake was found neither on the path nor beside this Python")
class TestConfigure(unittest.TestCase):
    """The extension configures against a stand-in for Slicer, and what it would install works."""

    build: Path

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.build = configure(Path(folder.name))

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

    def test_library_tests_pass_from_a_copy(self) -> None:
        """The quick ones; `make package-test` runs all."""
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run_from_a_copy(Path(folder), [f"test_{name}.py" for name in QUICK]), 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--all"]:
        with tempfile.TemporaryDirectory() as name:
            sys.exit(run_from_a_copy(Path(name), [""]))
    unittest.main()
