"""Many studies: one child process each, started by a thread pool or by Dask, and what is done already left alone.

A study is worked on in a hidden folder beside the results; its result folder appears by one rename, with a record of
options and inputs in it (`batch.json`). What is no result folder with a record was never done.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import pkgutil
import queue
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from . import __version__
from .errors import InputError, Unavailable
from .tables import Column, Table, visible

STUDIES, RECORD = "studies", "batch.json"
STAGES = ("input", "read", "analyze", "write", "crash", "time limit", "memory limit")
"""Where a study can fail: its row, its files, the analysis, its results; the last three end its process."""
OUT_OF_MEMORY, STOPPED = 71, 75
"""Exit statuses of a child: it ran out of memory; its batch is no more."""
LEAST_MB = 300.0
"""With less for a study, libraries fail in ways of their own, and some without a word."""
SAID, STAGE = "said.txt", "stage"
"""Files of a child: all that it says, in Slicer only; what it is at, of `STAGES`."""

_WORK, _LOCK, _TOKEN = ".unfinished-", ".batch.lock", ".batch.run"
_JOB, _RESULT = "job.json", "result"
_CHILD = ("-m", "DCEPerfusionBMDLib.cli.child")
_POLL_S, _LISTEN_S, _LONGEST_REASON, _LAST_BYTES = 1.0, 5.0, 500, 8192
_BEAT_S, SILENCE_S = 20.0, 300.0
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "VTK_SMP_MAX_THREADS",
)
_NO_MEMORY = re.compile(
    r"MemoryError|bad_alloc|more than the memory holds|[Uu]nable to allocate|[Cc]annot allocate|[Oo]ut of memory|"
    r"Memory allocation|can't start new thread|failed to map segment|[Ii]nsufficient memory"
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
_OF_SERIES = ("series", "flip-angles", "t1-map", "b1-map", "fat-fraction-map")
_NUMBERS = re.compile(r"\d+(:[\w+-]+)?(\s*,\s*\d+(:[\w+-]+)?)*|auto")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows


# ---- one study


@dataclass(frozen=True)
class Study:
    """One row of a batch.

    Attributes
    ----------
    subject : pseudonym; one study per subject.
    options : of `analyze`, by name without dashes; None where the option takes no value.
    inputs : files and folders that are options of `analyze`, by name; absolute.
    """

    subject: str
    options: Mapping[str, str | None]
    inputs: Mapping[str, Path]

    @property
    def name(self) -> str:
        """Name of the result folder: the subject, where every file system takes it."""
        if _PLAIN_NAME.fullmatch(self.subject) and not _RESERVED.fullmatch(self.subject):
            return self.subject
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", self.subject).strip("-")[:60]
        return f"{plain or 'subject'}-{hashlib.sha256(self.subject.encode('utf-8', 'replace')).hexdigest()[:10]}"

    def arguments(self) -> list[str]:
        """The command `analyze`, all but its output."""
        given = {**self.options, **{name: str(path) for name, path in self.inputs.items()}}
        options = [f"--{name}" if value is None else f"--{name}={value}" for name, value in given.items()]
        return ["analyze", f"--subject={self.subject}", *options]


@dataclass(frozen=True)
class Limits:
    """What a study may take; None is no limit.

    Attributes
    ----------
    time_s : wall-clock time.
    memory_MB : memory of its process beside program code (10^6 bytes); kept on Linux only.
    """

    time_s: float | None = None
    memory_MB: float | None = None


@dataclass(frozen=True)
class Job:
    """A study on its way to a child; goes to other machines.

    Attributes
    ----------
    study : what is done.
    output : absolute folder of the batch.
    token : of this run of the batch; where another or none is in `output`, the study stops.
    limits : of its time and memory.
    program : starts a child, the path of the job follows; when empty, the Python that hands it out does.
    version : of this software, which must be the same everywhere.
    """

    study: Study
    output: Path
    token: str
    limits: Limits
    program: tuple[str, ...] = ()
    version: str = __version__


@dataclass(frozen=True)
class Outcome:
    """What became of a study.

    Attributes
    ----------
    subject : of the study.
    stage : where it failed, of `STAGES`; empty where it is done.
    message : why, in one line; empty where it is done.
    exit_code : of its process, negative where a signal ended it; None where there was no process, or it is done.
    """

    subject: str
    stage: str = ""
    message: str = ""
    exit_code: int | None = None


def inputs_by_stat(study: Study) -> str:
    """A key of all input files, made of their paths, sizes and times of change; what was moved has another one.

    Parameters
    ----------
    study : with its inputs.

    Returns
    -------
    SHA-256 as 64 hexadecimal digits.

    Raises
    ------
    InputError
        where a file is missing or cannot be read, or a folder is empty.
    """
    digest = hashlib.sha256()
    for where, path, status in _input_files(study):
        known = f"{status.st_size}\0{status.st_mtime_ns}" if status is not None else "absent"
        digest.update(f"{where}\0{path}\0{known}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def inputs_by_content(study: Study) -> str:
    """A key of all input files, made of their names below an option and bytes; what was moved has the same.

    Parameters
    ----------
    study : with its inputs.

    Returns
    -------
    SHA-256 as 64 hexadecimal digits.

    Raises
    ------
    InputError
        where a file is missing or cannot be read, or a folder is empty.
    """
    from .export import sha256_of  # the rest of this file needs none of what comes with it

    digest = hashlib.sha256()
    for where, path, status in _input_files(study):
        try:
            of_file = sha256_of(path) if status is not None else "absent"
        except OSError as error:
            raise InputError(f"cannot read {path}: {error}") from error
        digest.update(f"{where}\0{of_file}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _input_files(study: Study) -> Iterator[tuple[str, Path, os.stat_result | None]]:
    """Option and name below it, path, and status of every input file; None for one that could be beside and is not."""
    from .seriesfiles import files_beside  # numpy comes with it

    for option, top in sorted(study.inputs.items()):
        try:
            status = top.stat()
            if stat.S_ISDIR(status.st_mode):
                found = sorted(_below(str(top)))
                if not found:
                    raise InputError(f"--{option}: there is no file in {top}")
                start = len(str(top)) + 1
                for path, of_file in found:
                    where = f"{option}/{path[start:].replace(os.sep, '/')}"
                    yield where, Path(path), of_file
                    for data in files_beside(Path(path), False):
                        yield f"{where}:", data, _status(data)
            elif stat.S_ISREG(status.st_mode):
                yield option, top, status
            else:
                raise InputError(f"--{option}: {top} is neither a file nor a folder")
            for number, beside in enumerate(files_beside(top, option == "volumes")):
                yield f"{option}:{number}", beside, _status(beside)
        except FileNotFoundError as error:
            raise InputError(f"--{option}: there is no {top}") from error
        except OSError as error:
            raise InputError(f"--{option}: cannot read {top}: {error}") from error
        except ValueError as error:  # of a path with signs that no path has
            if isinstance(error, InputError):
                raise
            raise InputError(f"--{option}: {visible(str(top))!r} is no path: {error}") from error


def _status(path: Path) -> os.stat_result | None:
    """The status of a file; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _below(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)
            elif entry.is_file():
                yield entry.path, entry.stat()


def is_done(study: Study, output: Path) -> bool:
    """Whether the result is complete, of these options, and of inputs that have not been touched since.

    Parameters
    ----------
    study : with its options and inputs.
    output : folder of the batch.

    Returns
    -------
    False also where there is no result.

    Raises
    ------
    InputError
        where an input is missing or cannot be read.
    """
    by_stat = inputs_by_stat(study)
    record = _read_record(output / STUDIES / study.name)
    return record is not None and _same(record, study) and record["inputs"].get("stat") == by_stat


def _read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a complete result; None where there is none."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        start = len(str(folder)) + 1
        found = {path[start:].replace(os.sep, "/"): status.st_size for path, status in _below(str(folder))}
        complete = all(found.get(name) == size for name, size in record["files"].items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return record if complete and isinstance(record.get("inputs"), dict) else None


def _same(record: Mapping[str, Any], study: Study) -> bool:
    """Whether subject, options and software are those of the record; of inputs, whether the same ones are given."""
    return all(record.get(name) == value for name, value in _identity(study).items())


def _identity(study: Study) -> dict[str, Any]:
    return {
        "software": __version__,
        "subject": study.subject,
        "options": {name: _kept(name, value) for name, value in study.options.items()},
        "files_given": sorted(study.inputs),
    }


def _kept(name: str, value: str | None) -> str | None:
    """What the record keeps of an option: the UID of a series leads to the patient, so it is hashed."""
    if value is None or name not in _OF_SERIES or _NUMBERS.fullmatch(value):
        return value
    return f"sha256 {hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()}"


# ---- a study in a process of its own


def run_study(job: Job) -> Outcome:
    """Do one study in a child process, with one thread, and wait for it; the result folder appears whole or not.

    Where the inputs have other times but the same bytes as those of the result there is, nothing is done again.

    Parameters
    ----------
    job : the study, with where it belongs and what it may take.

    Returns
    -------
    Done, or where and why it failed: failures of a study are told, not raised.

    """
    study = job.study
    if job.version != __version__:
        return Outcome(
            study.subject, "input", f"this worker has version {__version__}, the batch {job.version}: install the same"
        )
    studies = job.output / STUDIES
    try:
        inputs = {"stat": inputs_by_stat(study), "sha256": inputs_by_content(study)}
    except InputError as error:
        return Outcome(study.subject, "input", str(error))
    before = _read_record(studies / study.name)
    if before is not None and _same(before, study) and before["inputs"].get("sha256") == inputs["sha256"]:
        with contextlib.suppress(OSError):  # then the bytes are compared again the next time
            replace_file(studies / study.name / RECORD, _as_json({**before, "inputs": inputs}))
        return Outcome(study.subject)
    work: Path | None = None
    try:
        work = Path(tempfile.mkdtemp(prefix=f"{_WORK}{study.name}-", dir=studies))
        (work / _JOB).write_text(
            _as_json(
                {
                    "arguments": [*study.arguments(), f"--output={work / _RESULT}"],
                    "output": str(job.output),
                    "token": job.token,
                    "memory_MB": job.limits.memory_MB,
                    "time_s": job.limits.time_s,
                    "parent": os.getpid() if os.name == "posix" and not job.program else None,
                    "target": str(studies / study.name),
                    "study": {
                        "subject": study.subject,
                        "options": dict(study.options),
                        "inputs": {name: str(path) for name, path in study.inputs.items()},
                    },
                    "record": {**_identity(study), "inputs": inputs},
                }
            ),
            encoding="utf-8",
        )
        outcome = _in_child(job, work)
    except OSError as error:
        outcome = Outcome(study.subject, "write", f"cannot start the study in {work or studies}: {error}")
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    if not outcome.stage:
        record = _read_record(studies / study.name)
        if record is None or not _same(record, study) or record["inputs"] != inputs:
            outcome = Outcome(study.subject, "crash", "ended well, but left no result", 0)
    if outcome.stage and before is not None:
        message = f"{outcome.message} (the result that is there is of earlier inputs, options or software)"
        outcome = Outcome(outcome.subject, outcome.stage, message, outcome.exit_code)
    return outcome


def _in_child(job: Job, work: Path) -> Outcome:
    started = time.monotonic()
    child = subprocess.Popen(
        [*(job.program or (sys.executable, *_CHILD)), str(work / _JOB)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # no file, for the disk may be full
        stderr=subprocess.STDOUT,
        env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
        start_new_session=True,  # Ctrl-C comes to us only, and all it started can be ended with it
    )
    said = bytearray()
    listener = threading.Thread(target=_keep_last, args=(child.stdout, said), daemon=True)
    listener.start()
    late = False
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_POLL_S)
                break
            late = job.limits.time_s is not None and time.monotonic() - started > job.limits.time_s
            if late or not runs(job.output, job.token):
                break
    finally:
        _end(child)
        listener.join(_LISTEN_S)  # what the child started may hold the pipe open
    text = _text_of(work / SAID) or bytes(said).decode("utf-8", "replace")
    return _outcome(job, _text_of(work / STAGE).strip() or "read", text, child.returncode, late)


def _keep_last(stream: IO[bytes], said: bytearray) -> None:
    """Read a stream to its end, and keep the last of it."""
    with stream:
        while block := os.read(stream.fileno(), _LAST_BYTES):
            said += block
            del said[:-_LAST_BYTES]


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child and what it started; one that has ended already stays as it is."""
    if child.poll() is None:
        if sys.platform == "win32":
            child.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _outcome(job: Job, stage: str, said: str, code: int, late: bool) -> Outcome:
    subject, limits = job.study.subject, job.limits
    if code == 0:
        return Outcome(subject)
    reason = visible(next((line for line in reversed(said.splitlines()) if line.strip()), ""))
    reason = reason.removeprefix("dce-perfusion-bmd: ")[:_LONGEST_REASON]
    if late:
        return Outcome(subject, "time limit", f"not done after {limits.time_s:g} s, in stage {stage}", code)
    if os.strerror(errno.ENOSPC) in said:
        return Outcome(subject, "write", f"no space is left for {job.output}: {reason}", code)
    if code == OUT_OF_MEMORY or (limits.memory_MB is not None and _NO_MEMORY.search(said)):
        most = f"more than {limits.memory_MB:g} MB" if limits.memory_MB is not None else "more memory than there is"
        return Outcome(subject, "memory limit", f"needs {most}, in stage {stage}: {reason}", code)
    if not runs(job.output, job.token):
        return Outcome(subject, "crash", "the batch was stopped", code)
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
        hint = "; the system does so where memory runs out" if name == "SIGKILL" else ""
        because = f": {reason}" if reason else ""
        return Outcome(subject, "crash", f"ended by signal {-code} ({name}{hint}), in stage {stage}{because}", code)
    if stage not in STAGES or not reason:
        return Outcome(subject, "crash", reason or f"ended with status {code} without a word", code)
    return Outcome(subject, stage, reason, code)


def _text_of(path: Path) -> str:
    """The end of a text file; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LAST_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def limit_memory(memory_MB: float | None) -> None:
    """Bound the memory of this process, beside that of program code; without effect on other systems than Linux.

    Parameters
    ----------
    memory_MB : in 10^6 bytes; None for no limit.
    """
    if memory_MB is not None and sys.platform == "linux":
        import resource

        most = int(memory_MB * 1e6)
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def finish(job: Mapping[str, Any], work: Path) -> None:
    """Put the result of a child in its place, with its record; for `cli.child`.

    Parameters
    ----------
    job : what the child was given, as read from its file.
    work : folder of the child, which holds the result.

    Raises
    ------
    InputError
        where the inputs have changed since the study began.
    """
    study = Study(
        job["study"]["subject"],
        job["study"]["options"],
        {name: Path(path) for name, path in job["study"]["inputs"].items()},
    )
    if inputs_by_stat(study) != job["record"]["inputs"]["stat"]:
        raise InputError("the inputs were changed during the analysis; run the batch again")
    result, target = work / _RESULT, Path(job["target"])
    files = {p.relative_to(result).as_posix(): p.stat().st_size for p in sorted(result.rglob("*")) if p.is_file()}
    (result / RECORD).write_text(_as_json({**job["record"], "files": files}), encoding="utf-8")
    if target.exists():
        target.rename(work / "replaced")
    result.rename(target)


# ---- many studies


@contextlib.contextmanager
def locked(output: Path) -> Iterator[str]:
    """The only batch in a folder; what killed runs left there is removed.

    Parameters
    ----------
    output : folder of the batch; is made when it does not exist.

    Yields
    ------
    Token of this run, which ends with the block.

    Raises
    ------
    InputError
        where another batch runs there.
    """
    (output / STUDIES).mkdir(parents=True, exist_ok=True)
    with (output / _LOCK).open("a", encoding="utf-8") as lock:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another batch runs in {output}; wait for its end, or give another --output") from error
        token = uuid.uuid4().hex
        replace_file(output / _TOKEN, token)  # children of a killed run see it, and stop
        _remove_left(output)
        over = threading.Event()
        heart = threading.Thread(target=_beat, args=(output / _TOKEN, over), daemon=True)
        heart.start()
        try:
            yield token
        finally:
            over.set()
            heart.join()
            stop(output)
            _remove_left(output)  # of workers that were lost


def _beat(token: Path, over: threading.Event) -> None:
    """Tell the children on whatever machine, by the time of a file, that the batch goes on."""
    while not over.wait(_BEAT_S):
        with contextlib.suppress(OSError):  # stopped, or a file server that hiccups
            os.utime(token)


def _remove_left(output: Path) -> None:
    for left in (*output.glob(f"{_WORK}*"), *(output / STUDIES).glob(f"{_WORK}*")):
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def stop(output: Path) -> None:
    """End the run in a folder: what is still at work there stops within seconds, on whatever machine.

    Parameters
    ----------
    output : folder of the batch.
    """
    (output / _TOKEN).unlink(missing_ok=True)


def runs(output: Path, token: str) -> bool:
    """Whether a run still goes on in a folder.

    Parameters
    ----------
    output : folder of the batch.
    token : of the run.

    Returns
    -------
    True also where the folder cannot be read at the moment.
    """
    try:
        return (output / _TOKEN).read_text(encoding="ascii") == token
    except FileNotFoundError:
        return False
    except OSError:
        return True  # a file server that hiccups ends nothing


def pulse(output: Path) -> int | None:
    """A number that changes at least every minute while a batch goes on.

    Parameters
    ----------
    output : folder of the batch.

    Returns
    -------
    None where it cannot be told.
    """
    try:
        return (output / _TOKEN).stat().st_mtime_ns
    except OSError:
        return None


def run_studies(
    jobs: Iterable[Job], executor: Executor, window: int, work: Callable[[Job], Outcome] = run_study
) -> Iterator[Outcome | None]:
    """Outcomes as they come, and None about once a second.

    Parameters
    ----------
    jobs : are taken when there is room for them.
    executor : of the standard library, or `distributed.Client.get_executor`.
    window : how many are handed out at a time.
    work : what is done with a job; must be importable on the workers.

    Yields
    ------
    An outcome per job, in the order in which they end; None where none has ended within a second.

    Raises
    ------
    Unavailable
        where the scheduler is lost; what was done stays.
    """
    finished: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
    given: dict[Future[Outcome], Study] = {}
    waiting = iter(jobs)
    while True:
        for job in itertools.islice(waiting, window - len(given)):
            future = executor.submit(work, job)
            given[future] = job.study
            future.add_done_callback(finished.put)
        if not given:
            return
        try:
            future = finished.get(timeout=_POLL_S)
        except queue.Empty:
            yield None
            continue
        study = given.pop(future)
        try:
            yield future.result()
        except CancelledError as error:
            raise Unavailable("the scheduler has dropped the studies; run the batch again, it goes on") from error
        except Exception as error:  # of the scheduler, such as KilledWorker: whatever it is, the others go on
            yield Outcome(study.subject, "crash", visible(f"{type(error).__name__}: {error}")[:_LONGEST_REASON])


def run_on_worker(job: Job) -> Outcome:
    """`run_study` on a worker of Dask; without a memory limit of the batch its share of the worker's counts.

    Parameters
    ----------
    job : as for `run_study`.

    Returns
    -------
    As `run_study`.

    Raises
    ------
    Reschedule
        where the worker has another version; it came later than the batch, which looks at those there are.
    """
    from distributed import Reschedule, get_worker

    if job.version != __version__:
        time.sleep(_PAUSE_S)
        raise Reschedule
    worker = get_worker()
    bound = worker.memory_manager.memory_limit
    if job.limits.memory_MB is None and bound:
        share_MB = bound / 1e6 / worker.state.nthreads
        if share_MB < LEAST_MB:
            few = f"{share_MB:.0f} MB for a study is less than its programs take"
            said = (
                f"{few}; start workers of fewer --nthreads or with a --memory-limit of {LEAST_MB:g} MB for each thread"
            )
            return Outcome(job.study.subject, "memory limit", said)
        limits = Limits(job.limits.time_s, share_MB)
        job = Job(job.study, job.output, job.token, limits, job.program, job.version)
    return run_study(job)


@contextlib.contextmanager
def thread_pool(workers: int) -> Iterator[tuple[Executor, int, Callable[[Job], Outcome]]]:
    """What `run_studies` needs to work on this machine.

    Parameters
    ----------
    workers : studies at a time.

    Yields
    ------
    Executor, window and work.
    """
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool, workers, run_study
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def dask_cluster(
    address: str, workers: int, tell: Callable[[str], None]
) -> Iterator[tuple[Executor, int, Callable[[Job], Outcome]]]:
    """What `run_studies` needs to work on workers of Dask.

    Parameters
    ----------
    address : of a running scheduler, as `tcp://host:8786`; `local` for one of our own on this machine.
    workers : studies at a time of one of our own.
    tell : is told what there is, in sentences.

    Yields
    ------
    Executor, window and work.

    Raises
    ------
    InputError
        where Dask is not installed, the address is none, or no worker has this version.
    Unavailable
        where no scheduler answers within minutes.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError("--scheduler needs Dask; install this package with its extra 'cluster'") from error
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            address = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1)).scheduler_address
        try:
            client = stack.enter_context(Client(address, timeout=_CONNECT_S, set_as_default=False))
        except OSError as error:
            raise Unavailable(f"no Dask scheduler answers at {address}: {visible(str(error))}") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{address!r} is no address of a Dask scheduler: {visible(str(error))}") from error
        ours = _of_this_version(client, tell)
        yield client.get_executor(pure=False, **ours), _HANDED_OUT, run_on_worker


def _of_this_version(client: Any, tell: Callable[[str], None]) -> dict[str, Any]:
    """What keeps studies off the workers that have another version of this package, or none."""
    versions = client.run(pkgutil.resolve_name, f"{__package__}:__version__", on_error="return")
    ours = [worker for worker, version in versions.items() if version == __version__]
    others = {worker: version for worker, version in versions.items() if version != __version__}
    said = "; ".join(
        f"{worker} has {f'version {version}' if isinstance(version, str) else visible(str(version))}"
        for worker, version in list(others.items())[:3]
    )
    if others and not ours:
        raise InputError(f"no Dask worker has version {__version__} of this package: {said}; install the same there")
    tell(f"Dask: {len(ours)} workers; dashboard: {client.dashboard_link}")
    if not versions:
        tell("Warning: the scheduler has no worker yet; the studies wait for one")
    if others:
        tell(f"Warning: {len(others)} workers are passed over, since the batch has version {__version__}: {said}")
    return {"workers": ours, "allow_other_workers": True} if others else {}  # others: when all of ours are lost


LOCAL = "local"
_CONNECT_S = "180s"  # a cluster that starts with the batch may need as much
_PAUSE_S = 10.0
_HANDED_OUT = 1000  # to a scheduler at a time: enough for any cluster, little for its memory


@dataclass
class Tally:
    """How far a batch is.

    Attributes
    ----------
    total : all studies.
    found : those that were done before.
    refused : those that never began, which are the first of the failures.
    done : in this run.
    failures : of this run.
    began : when this run began, in s of `time.monotonic`.
    """

    total: int
    found: int = 0
    refused: int = 0
    done: int = 0
    failures: list[Outcome] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def sentence(self, workers: int | None = None) -> str:
        """Done, failed, running, throughput and time left, in one line.

        Parameters
        ----------
        workers : that studies are handed to; None where it is not known.

        Returns
        -------
        For example `3 of 10 done, 0 failed, 2 running, 4/min, 75 s left`.
        """
        ended = self.done + len(self.failures) - self.refused
        left = self.total - self.found - self.refused - ended
        elapsed = time.monotonic() - self.began
        parts = [f"{self.found + self.done} of {self.total} done", f"{len(self.failures)} failed"]
        if workers is not None:
            parts.append(f"{min(workers, left)} running")
        if ended:
            parts += [f"{60 * ended / elapsed:.3g}/min", f"{_duration(left * elapsed / ended)} left"]
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if seconds < 90 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def failures_table(failures: Iterable[Outcome]) -> Table:
    """One row per study that failed.

    Parameters
    ----------
    failures : in any order.

    Returns
    -------
    Columns `subject`, `stage`, `message` and `exit_code`, by subject.
    """
    rows = sorted(failures, key=lambda outcome: outcome.subject)
    return Table(
        "failures",
        "Studies that failed",
        (
            Column("subject", [row.subject for row in rows], "subject"),
            Column("stage", [row.stage for row in rows], "stage", description=f"one of {', '.join(STAGES)}"),
            Column("message", [row.message for row in rows], "message"),
            Column("exit_code", ["" if row.exit_code is None else str(row.exit_code) for row in rows], "exit code"),
        ),
    )


def replace_file(path: Path, text: str) -> None:
    """Write a text file; whoever reads it meets the old or the new one.

    Parameters
    ----------
    path : in a folder that is there.
    text : is written as UTF-8.

    Raises
    ------
    OSError
        with the path in it.
    """
    new = path.with_name(f"{_WORK}{path.name}")
    try:
        new.write_text(text, encoding="utf-8", newline="")
        new.replace(path)
    except OSError as error:  # whose own text often lacks the path
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
