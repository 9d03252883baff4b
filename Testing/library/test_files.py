"""Files appear whole or not at all, whatever happens in between."""

import os
import signal
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.export import check_output_folder, sha256_of, staged


class Staged(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.output = self.folder / "deep" / "out"

    def names(self, folder=None):
        folder = folder or self.output
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))

    def write(self, text="new", names=("a.csv", "maps/b.nrrd", "maps/c.nrrd"), **options):
        with staged(self.output, **options) as stage:
            for name in names:
                (stage / name).parent.mkdir(exist_ok=True)
                (stage / name).write_text(text, encoding="utf-8")

    def test_files_replace_older_ones_and_others_stay(self):
        self.write("old")
        (self.output / "notes.txt").write_text("mine", encoding="utf-8")
        (self.output / "stale.csv").write_text("old", encoding="utf-8")
        self.write("new", names=("a.csv", "maps/b.nrrd"), stale=("stale.csv", "maps/*.nrrd"))
        self.assertEqual(self.names(), ["a.csv", "maps", "maps/b.nrrd", "notes.txt"])
        self.assertEqual((self.output / "a.csv").read_text(encoding="utf-8"), "new")

    def test_an_error_leaves_nothing_not_even_folders(self):
        with self.assertRaisesRegex(RuntimeError, "broken"), staged(self.output) as stage:
            (stage / "a.csv").write_text("half", encoding="utf-8")
            raise RuntimeError("broken")
        self.assertEqual(self.names(self.folder), [])

    def test_something_in_the_way_is_seen_before_the_first_move(self):
        self.output.mkdir(parents=True)
        (self.output / "maps").write_text("a file", encoding="utf-8")
        with self.assertRaisesRegex(InputError, "maps is a file, not a folder"):
            self.write()
        self.assertEqual(self.names(), ["maps"])
        (self.output / "maps").unlink()
        (self.output / "a.csv").mkdir()
        with self.assertRaisesRegex(InputError, "a folder of that name is there"):
            self.write()
        self.assertEqual(self.names(), ["a.csv"])

    @unittest.skipIf(os.name == "nt", "Windows ends the process on os.kill")
    def test_ctrl_c_between_two_moves_waits_for_the_last(self):
        self.write("old")
        replace, moved = Path.replace, []

        def interrupted_replace(path, target):
            moved.append(target)
            if len(moved) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return replace(path, target)

        with mock.patch.object(Path, "replace", interrupted_replace), self.assertRaises(KeyboardInterrupt):
            self.write("new")
        self.assertEqual(self.names(), ["a.csv", "maps", "maps/b.nrrd", "maps/c.nrrd"])
        for name in ("a.csv", "maps/b.nrrd", "maps/c.nrrd"):
            self.assertEqual((self.output / name).read_text(encoding="utf-8"), "new")

    def test_output_that_is_a_file_is_refused_early(self):
        (self.folder / "file").write_text("mine", encoding="utf-8")
        for output in (self.folder / "file", self.folder / "file" / "deeper"):
            with self.assertRaisesRegex(InputError, "is a file, not a folder"):
                check_output_folder(output)
        check_output_folder(self.folder / "new" / "deep")
        self.assertEqual(self.names(self.folder), ["file"])

    def test_hash(self):
        """SHA-256 of "abc" as printed in FIPS 180-2, appendix B.1."""
        path = self.folder / "abc"
        path.write_bytes(b"abc")
        self.assertEqual(sha256_of(path), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


if __name__ == "__main__":
    unittest.main()
