"""Run a command and measure it: wall time, processor time, peak memory of the whole process tree."""

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_SAMPLE_SECONDS = 0.1
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
#: ru_maxrss is in kB, on macOS in bytes
_MAXRSS_MB = 1e-6 if sys.platform == "darwin" else 1.024e-3


@dataclass(frozen=True)
class Cost:
    """What a command took.

    status      exit status
    wall, cpu   seconds; cpu is user and system time of the command and all its children
    tree_mb     peak of the memory of all its processes together, MB (sum of resident sizes, pages
                they share counted for each); 0 where the system does not tell
    largest_mb  peak of its largest process, MB; never below the size of the measuring process, which
                the system counts for a process until it has started its own program
    """

    status: int
    wall: float
    cpu: float
    tree_mb: float
    largest_mb: float


def soxspipe(*arguments: str | Path, log: Path) -> Cost:
    """Run `soxspipe ARGUMENTS` in a fresh process and measure it; what it prints goes to `log`."""
    return measure([sys.executable, "-m", "soxspipe", *map(str, arguments)], log)


def measure(command: Sequence[str], log: Path) -> Cost:
    """Run `command` and measure it; what it prints goes to `log`."""
    start = time.monotonic()
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        sampler = _Sampler(process.pid)
        sampler.start()
        try:
            _, wait_status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            sampler.stop()
    process.returncode = os.waitstatus_to_exitcode(wait_status)
    return Cost(
        status=process.returncode,
        wall=time.monotonic() - start,
        cpu=used.ru_utime + used.ru_stime,
        tree_mb=sampler.peak_mb,
        largest_mb=used.ru_maxrss * _MAXRSS_MB,
    )


class _Sampler(threading.Thread):
    """Looks at the memory of a process and its descendants every tenth of a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self._pid = pid
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, tree_memory_mb(self._pid))

    def stop(self) -> None:
        self._done.set()
        self.join()


def tree_memory_mb(pid: int) -> float:
    """Resident memory of a process and its descendants, MB; 0 on systems without /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        children.setdefault(int(after_name[1]), []).append(int(stat.parent.name))
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * _PAGE_MB
        except (OSError, IndexError):
            continue
    return total


def start_seconds(log: Path, times: int = 5) -> float:
    """Median wall time of `soxspipe --help`."""
    return median(soxspipe("--help", log=log).wall for _ in range(times))


def load() -> float:
    """Processes that wanted a core in the last minute, on average; 0 is quiet."""
    return os.getloadavg()[0]


def machine() -> str:
    """The machine in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model = _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown"
    memory = _field(Path("/proc/meminfo"), "MemTotal")
    size = f", {int(memory.split()[0]) / 1024**2:.0f} GiB memory" if memory else ""
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{cores} cores of {model}{size}, {system}"


def _field(path: Path, name: str) -> str:
    if not path.is_file():
        return ""
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
