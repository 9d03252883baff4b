"""The choice of the frame times: what is used, what is refused, and why."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.times import Candidate, complete_first, resolve_times, times_of_user

REGULAR = np.arange(8) * 4.5


class Choice(unittest.TestCase):
    def test_by_name(self):
        """The user chooses among those that pass; the choice is used or refused."""
        candidates = [
            Candidate("count", np.arange(8.0), "it counts frames"),
            Candidate("trigger", REGULAR + 100.0),
            Candidate("clock", REGULAR * 2.0),
        ]
        axis = resolve_times(candidates, 8)
        self.assertTrue(axis.doubtful)
        self.assertEqual([choice.describe() for choice in axis.choices], ["trigger: 4.5 s", "clock: 9 s"])
        chosen = resolve_times(candidates, 8, times=" clock ")
        np.testing.assert_allclose(chosen.times_s, 2.0 * REGULAR)
        self.assertEqual(chosen.source, "clock, chosen by the user")
        self.assertEqual([choice.name for choice in chosen.choices], ["trigger", "clock"])
        np.testing.assert_allclose(chosen.choices[0].later(2).times_s, REGULAR[:-2])
        with self.assertRaisesRegex(InputError, "the times count cannot be used: it counts frames"):
            resolve_times(candidates, 8, times="count")
        with self.assertRaisesRegex(InputError, "'gone' is neither .* nor a source of times that the series has"):
            resolve_times(candidates, 8, times="gone")
        given = resolve_times(candidates, 8, times="3")
        self.assertEqual((given.source, given.choices[0].name), ("given by the user (step of 3 s)", "trigger"))
        self.assertFalse(resolve_times(candidates[1:2], 8).doubtful)
        self.assertTrue(resolve_times([Candidate("made", REGULAR, made=True)], 8).doubtful)

    def test_the_first_that_passes_is_used_and_the_others_are_kept_with_the_reason(self):
        candidates = [
            Candidate("count", np.arange(8.0), "it counts frames"),
            Candidate("trigger", REGULAR + 100.0),
            Candidate("clock", REGULAR * 1.001),
            Candidate("late", REGULAR * 2.0),
        ]
        axis = resolve_times(candidates, 8, 3.5)
        np.testing.assert_allclose(axis.times_s, REGULAR, atol=1e-12)
        self.assertEqual(axis.source, "trigger")
        self.assertEqual(axis.rejected[0], "count: it counts frames")
        self.assertRegex(axis.rejected[1], "clock: not needed, trigger comes first; they differ by 0.0315 s")
        self.assertEqual(len(axis.warnings), 1)
        self.assertRegex(axis.warnings[0], "trigger and late disagree by up to 31.5 s; trigger is used")
        self.assertIsNone(axis.slice_offsets_s)

    def test_refusals(self):
        repeated, back = REGULAR.copy(), REGULAR.copy()
        repeated[4] = repeated[3]
        back[5] -= 20.0
        hole = np.where(np.arange(8) == 3, np.nan, REGULAR)
        uneven = np.where(np.arange(8) == 0, np.nan, REGULAR**1.2)
        for words, values in (
            ("absent", np.full(8, np.nan)),
            ("7 values for 8 frames", REGULAR[:7]),
            ("8 frames but 7 distinct times .frames 4 and 5 are both 13.5 s after the first", repeated),
            ("the same in all 8 frames", np.full(8, 3.0)),
            ("frame 6 is 15.5 s before frame 5", back),
            ("absent in 1 of 8 frames .frame 4", hole),
            ("absent in the first frame, and the others are not regular", uneven),
            ("step of 3.5 ms is the repetition time, not a frame time", np.arange(8) * 0.0035),
            ("step of 0.1 s is too short for a frame; the unit may be wrong", np.arange(8) * 0.1),
            ("step of 4500 s is too long for a frame; the unit may be wrong", REGULAR * 1000.0),
            ("slices of frame 1 are later than the start of frame 2", np.stack((REGULAR, REGULAR + 5.0))),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(InputError, f"tag: .*{words}"):
                resolve_times([Candidate("tag", values)], 8, 3.5, "series 4")
        with self.assertRaisesRegex(InputError, "series 4 has no usable frame times. Looked at nothing.*--times"):
            resolve_times([], 8, 3.5, "series 4")

    def test_first_frame_without_a_time(self):
        axis = resolve_times([Candidate("tag", np.where(REGULAR == 0, np.nan, REGULAR))], 8)
        np.testing.assert_allclose(axis.times_s, REGULAR, atol=1e-12)
        self.assertRegex(axis.warnings[0], "tag is absent in the first frame")

    def test_a_complete_one_goes_before_one_that_lacks_the_first_frame(self):
        gap = Candidate("gap", np.where(REGULAR == 0, np.nan, REGULAR))
        early = Candidate("clock", np.where(REGULAR == 0, -60.0, REGULAR))
        made = Candidate("made", REGULAR * 1.3, made=True)
        axis = resolve_times(complete_first([gap, made, early]), 8)
        self.assertEqual(axis.source, "clock")
        np.testing.assert_allclose(np.diff(axis.times_s)[:2], [64.5, 4.5])
        self.assertRegex(" ".join(axis.warnings), "clock and gap disagree by up to 60 s; clock is used")
        self.assertEqual(resolve_times(complete_first([made, gap]), 8).source, "gap")

    def test_times_of_slices_are_those_that_agree(self):
        late = np.array([[0.0], [3.0], [1.5]])
        axis = resolve_times([Candidate("frame", REGULAR), Candidate("slice", REGULAR + late)], 8)
        self.assertEqual(axis.source, "frame")
        np.testing.assert_allclose(axis.slice_offsets_s, late[:, 0], atol=1e-12)
        self.assertRegex(" ".join(axis.warnings), "frame has one time per frame; the times of the slices .* from slice")
        for other in (Candidate("slice", REGULAR * 1.5 + late), Candidate("slice", REGULAR + late, made=True)):
            self.assertIsNone(resolve_times([Candidate("frame", REGULAR), other], 8).slice_offsets_s)
        axis = resolve_times([Candidate("made", REGULAR + late, made=True)], 8)
        self.assertIsNone(axis.slice_offsets_s)
        self.assertRegex(axis.warnings[0], "made is when an image was made, not when it was acquired")

    def test_a_frame_may_take_one_long_repetition_time(self):
        """A clock tells so; what is counted from the first frame may be TR x n."""
        times_s = np.arange(8) * 1.5
        clock = Candidate("clock", 43200.0 + times_s)
        np.testing.assert_allclose(resolve_times([clock], 8, 1500.0).times_s, times_s)
        with self.assertRaisesRegex(InputError, "its step of 1500 ms is the repetition time"):
            resolve_times([Candidate("count", times_s)], 8, 1500.0)

    def test_slices_acquired_one_after_the_other(self):
        """Slice k starts k seconds after the frame; the frame's time is that of its earliest slice."""
        axis = resolve_times([Candidate("tag", REGULAR + np.array([[1.0], [0.0], [2.0]]))], 8)
        np.testing.assert_allclose(axis.times_s, REGULAR, atol=1e-12)
        np.testing.assert_allclose(axis.slice_offsets_s, [1.0, 0.0, 2.0], atol=1e-12)

    def test_midnight(self):
        start = 86400.0 - 11.0
        for values in (start + REGULAR, start + REGULAR + np.array([[0.0], [2.0], [13.0]]) * 0.2):
            axis = resolve_times([Candidate("clock", values % 86400.0, clock=True)], 8)
            np.testing.assert_allclose(axis.times_s, REGULAR, atol=1e-9)
            self.assertIn("the acquisition crosses midnight; the times after it are counted on", axis.warnings)
        with self.assertRaisesRegex(InputError, "does not increase"):
            resolve_times([Candidate("dated", (start + REGULAR) % 86400.0)], 8)
        within = 86400.0 - 1.0 + np.array([[0.0], [2.0]]) + REGULAR
        np.testing.assert_allclose(
            resolve_times([Candidate("clock", within % 86400.0, clock=True)], 8).times_s, REGULAR, atol=1e-9
        )

    def test_uneven_frames_are_used_and_named(self):
        times_s = np.array([0.0, 3.0, 6.0, 9.0, 40.0])
        axis = resolve_times([Candidate("tag", times_s)], 5)
        np.testing.assert_allclose(axis.times_s, times_s)
        self.assertRegex(axis.warnings[0], "unevenly spaced: 3 to 31 s")


class User(unittest.TestCase):
    def test_step_list_and_file(self):
        np.testing.assert_allclose(times_of_user("4.5", 8).seconds, REGULAR)
        np.testing.assert_allclose(times_of_user("0, 3,7.5", 3).seconds, [0.0, 3.0, 7.5])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "times.csv"
            path.write_text("\ufeffframe,time_s\n1,0\n2,3.5\n3,8\n", encoding="utf-8")
            found = times_of_user(str(path), 3)
            np.testing.assert_allclose(found.seconds, [0.0, 3.5, 8.0])
            self.assertEqual(found.name, "given by the user (file)")  # its name may be that of the patient
            path.write_text("0\n3.5\n8\n", encoding="utf-8")
            np.testing.assert_allclose(times_of_user(str(path), 3).seconds, [0.0, 3.5, 8.0])
            for content, words in (
                ("a,b\n1,2\n", "has no column time_s; its columns are a, b"),
                ("time_s\n1\nx\n", "times.csv, time 2: .*is no number"),
            ):
                path.write_text(content, encoding="utf-8")
                with self.assertRaisesRegex(InputError, words):
                    times_of_user(str(path), 3)
        for text, words in (("soon", "neither a step in s"), ("-3", "must be above 0 s")):
            with self.assertRaisesRegex(InputError, words):
                times_of_user(text, 3)

    def test_they_go_before_the_tags_and_are_never_passed_over(self):
        tag = Candidate("tag", REGULAR)
        axis = resolve_times([times_of_user("0.25", 8), tag], 8, 3.5)  # the user may know of a faster scan
        self.assertEqual(axis.source, "given by the user (step of 0.25 s)")
        self.assertRegex(axis.rejected[0], "tag: not needed")
        axis = resolve_times([times_of_user("4500", 8), tag], 8)
        self.assertRegex(axis.warnings[0], "4500 s apart as given by the user; times are given in s")
        with self.assertRaisesRegex(InputError, "the times given by the user .list. cannot be used: 3 values for 8"):
            resolve_times([times_of_user("0,3,6", 8), tag], 8)

    def test_of_the_user_the_repetition_time_and_less_than_a_frame_are_refused(self):
        listed = ",".join(f"{0.0035 * n:g}" for n in range(8))
        for text, repetition_time_ms, words in (
            ("0.0035", 3.5, "step of 0.0035 s. cannot be used: its step of 3.5 ms is the repetition time"),
            ("0.9", 900.0, "step of 900 ms is the repetition time"),
            (listed, 3.5, "list. cannot be used: its step of 3.5 ms is the repetition time"),
            ("0.0035", None, "step of 0.0035 s is too short for a frame; the unit may be wrong"),
            ("0.19", 3.5, "step of 0.19 s is too short"),
        ):
            with self.subTest(text=text), self.assertRaisesRegex(InputError, f"the times given by the user .*{words}"):
                resolve_times([Candidate("tag", REGULAR)], 8, repetition_time_ms, times=text)


if __name__ == "__main__":
    unittest.main()
