"""The Python code holds on every operating system: encodings are told, and POSIX calls stand behind a guard."""

from __future__ import annotations

import ast
import unittest
from pathlib import Path

from support import REPOSITORY

POSIX_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog"}
POSIX_CALLS = {
    *("os.fork", "os.forkpty", "os.getuid", "os.geteuid", "os.getgid", "os.getpgid", "os.killpg", "os.kill"),
    *("os.mkfifo", "os.setpgid", "os.setsid", "os.uname", "os.wait", "os.wait3", "os.wait4", "os.chown", "os.nice"),
    *("os.pipe2", "os.sched_getaffinity", "os.statvfs", "os.sysconf", "os.EX_OK"),
    *("signal.SIGKILL", "signal.SIGALRM", "signal.SIGHUP", "signal.SIGPIPE", "signal.SIGUSR1", "signal.SIGCHLD"),
    *("signal.alarm", "signal.setitimer", "signal.pause"),
}
# Where such names may stand: each behind a look at the platform, or where the other way is beside it.
GUARDED = {
    "DCEPerfusionBMD/DCEPerfusionBMDLib/batch.py": {"fcntl", "resource", "os.killpg", "signal.SIGKILL"},
    "DCEPerfusionBMD/DCEPerfusionBMDLib/cli/batch.py": {"os.sysconf", "os.sched_getaffinity"},  # asked for or caught
    "Testing/library/test_batch.py": {"signal.SIGKILL"},  # skipped
    "Testing/library/test_dicom_export.py": {"os.fork", "os.kill", "signal.SIGKILL"},  # skipped
    "Testing/library/test_files.py": {"os.kill"},  # skipped
    "Testing/library/test_fuzz.py": {"resource", "signal.SIGALRM", "signal.setitimer"},  # skipped
    "Testing/scene/test_batch_command.py": {"os.kill", "signal.SIGKILL"},  # skipped
    "Testing/benchmarks/bench_cohort.py": {"os.wait4"},
    "Testing/benchmarks/bench_kinetics.py": {"resource", "os.sched_getaffinity"},
    "Testing/repository/test_portable.py": {"a path below /tmp"},  # what is looked for
}
READERS = {"open", "read_text", "write_text", "fdopen", "TextIOWrapper", "NamedTemporaryFile", "TemporaryFile"}
BINARY_BY_DEFAULT = {"NamedTemporaryFile", "TemporaryFile"}
SUBPROCESS = {"run", "Popen", "check_output", "check_call", "call"}
PATHS = {"os.path.join", "os.path.exists", "os.path.isfile", "os.path.isdir", "os.path.dirname", "os.path.basename"}


def python_files() -> list[Path]:
    folders = ("DCEPerfusionBMD", "Testing", "docs")
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    return next((found.value for found in call.keywords if found.arg in names), None)


def is_true(value: ast.expr | None) -> bool:
    return value is not None and not (isinstance(value, ast.Constant) and not value.value)


class Finder(ast.NodeVisitor):
    """What of a file holds on one operating system alone: line and what."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    def say(self, node: ast.AST, what: str) -> None:
        self.found.append((getattr(node, "lineno", 0), what))

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            if name.name.split(".")[0] in POSIX_MODULES:
                self.say(node, name.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").split(".")[0] in POSIX_MODULES:
            self.say(node, str(node.module))
        for name in node.names:
            if f"{node.module}.{name.name}" in POSIX_CALLS:
                self.say(node, f"{node.module}.{name.name}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = ast.unparse(node)
        if name in POSIX_CALLS:
            self.say(node, name)
        elif name in PATHS:
            self.say(node, f"{name} instead of pathlib")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and (node.value == "/tmp" or node.value.startswith("/tmp/")):
            self.say(node, "a path below /tmp")

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring is no path
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        if is_true(keyword(node, "shell")) or name in ("os.system", "os.popen"):
            self.say(node, "a shell")
        if last in READERS and not name.startswith(("webbrowser.", "gzip.", "zipfile.", "tarfile.", "os.open")):
            self.reader(node, name, last)
        text = any(is_true(keyword(node, key)) for key in ("text", "universal_newlines", "errors"))
        if name.startswith("subprocess.") and last in SUBPROCESS and text and keyword(node, "encoding") is None:
            self.say(node, f"{name} of text without an encoding")
        self.generic_visit(node)

    def reader(self, node: ast.Call, name: str, last: str) -> None:
        if keyword(node, "encoding") is not None:
            return
        if last in ("read_text", "write_text"):
            given = len(node.args) > (0 if last == "read_text" else 1)
        elif last == "TextIOWrapper":
            given = len(node.args) > 1
        else:
            position = 1 if name in ("open", "io.open") or last == "fdopen" else 0
            mode = keyword(node, "mode") or (node.args[position] if len(node.args) > position else None)
            if mode is None:
                given = last in BINARY_BY_DEFAULT
            else:
                given = isinstance(mode, ast.Constant) and "b" in str(mode.value)
        if not given:
            self.say(node, f"{name} of text without an encoding")


def found_in(source: str) -> list[tuple[int, str]]:
    finder = Finder()
    finder.visit(ast.parse(source))
    return sorted(finder.found)


class Portable(unittest.TestCase):
    def test_all_code(self) -> None:
        wrong, guarded = [], {path: set(names) for path, names in GUARDED.items()}
        for path in python_files():
            name = path.relative_to(REPOSITORY).as_posix()
            for line, what in found_in(path.read_text(encoding="utf-8")):
                if what in GUARDED.get(name, ()):
                    guarded[name].discard(what)
                else:
                    wrong.append(f"{name}:{line}: {what}")
        self.assertEqual("\n".join(wrong), "")
        self.assertEqual({path: names for path, names in guarded.items() if names}, {}, "no longer there")

    def test_what_is_found(self) -> None:
        for source, what in (
            ("open('x')", "open of text without an encoding"),
            ("open('x', 'w')", "open of text without an encoding"),
            ("path.open()", "path.open of text without an encoding"),
            ("path.open('w')", "path.open of text without an encoding"),
            ("path.read_text()", "path.read_text of text without an encoding"),
            ("path.write_text('a')", "path.write_text of text without an encoding"),
            ("tempfile.NamedTemporaryFile('w')", "tempfile.NamedTemporaryFile of text without an encoding"),
            ("subprocess.run(x, text=True)", "subprocess.run of text without an encoding"),
            ("subprocess.run(x, shell=True)", "a shell"),
            ("import fcntl", "fcntl"),
            ("from resource import setrlimit", "resource"),
            ("os.kill(1, 9)", "os.kill"),
            ("from os import fork", "os.fork"),
            ("x = signal.SIGKILL", "signal.SIGKILL"),
            ("p = os.path.join('a', 'b')", "os.path.join instead of pathlib"),
            ("p = '/tmp/x'", "a path below /tmp"),
        ):
            with self.subTest(source=source):
                self.assertEqual(found_in(source), [(1, what)])

    def test_what_is_not(self) -> None:
        for source in (
            "open('x', 'rb')",
            "open('x', encoding='utf-8')",
            "path.open('rb')",
            "path.write_bytes(b'')",
            "path.read_text('utf-8')",
            "tempfile.NamedTemporaryFile()",
            "gzip.open('x')",
            "subprocess.run(x, capture_output=True)",
            "subprocess.run(x, text=True, encoding='utf-8')",
            "'''A folder such as\n/tmp/x'''",
        ):
            with self.subTest(source=source):
                self.assertEqual(found_in(source), [])


if __name__ == "__main__":
    unittest.main()
