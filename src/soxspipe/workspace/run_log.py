"""What a run says goes to a file beside its product."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from soxspipe.datamodel.metric import WHOLE_FRAME, Measurement
from soxspipe.errors import OutputError
from soxspipe.io.writing import write_text
from soxspipe.workspace.run_record import Written

_FORMAT = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S")


#: What is told of each file that was written.
PRODUCT_COLUMNS = (
    "product_label",
    "file_name",
    "file_type",
    "obs_date_utc",
    "label",
    "product_desc",
)


class Listener(logging.Handler):
    """Keeps everything said in a run."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(_FORMAT)
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.lines.append(self.format(record))
        if record.levelno >= logging.WARNING:
            self.warnings.append(record.getMessage())

    def text(self) -> str:
        """All that was said."""
        return "".join(f"{line}\n" for line in self.lines)


@contextmanager
def listening(log: logging.Logger) -> Iterator[Listener]:
    """Hear all messages from INFO on; other handlers hear what they heard before."""
    listener, level = Listener(), log.getEffectiveLevel()
    others = [h for logger in _chain(log) for h in logger.handlers]

    def as_before(record: logging.LogRecord) -> bool:
        return record.levelno >= level

    own_level = log.level
    for handler in others:
        handler.addFilter(as_before)
    log.addHandler(listener)
    log.setLevel(min(level, logging.INFO))
    try:
        yield listener
    finally:
        log.setLevel(own_level)
        log.removeHandler(listener)
        for handler in others:
            handler.removeFilter(as_before)


def _chain(log: logging.Logger) -> Iterator[logging.Logger]:
    """The loggers that hear a message of `log`."""
    current: logging.Logger | None = log
    while current is not None:
        yield current
        current = current.parent if current.propagate else None


def write_log(folder: Path, stem: str, text: str, *, failed: bool) -> None:
    """Write `<stem>.log`, or `<stem>_ERROR.log`; a run that went well removes the latter.

    A folder that cannot be written gives no log: the error itself has been told already.
    """
    error_log = folder / f"{stem}_ERROR.log"
    if failed:
        with suppress(OutputError):
            write_text(error_log, text, overwrite=True)
        return
    write_text(folder / f"{stem}.log", text, overwrite=True)
    error_log.unlink(missing_ok=True)


def quality_table(measurements: Iterable[Measurement]) -> list[str]:
    """QC values of whole frames as lines of text: name, value, unit, range, verdict, meaning."""
    rows = [("qc_name", "qc_value", "qc_unit", "range", "qc_flag", "qc_comment")]
    for m in measurements:
        if m.order == WHOLE_FRAME:
            low, high = m.limits or (None, None)
            span = "" if m.limits is None else f"{_end(low)} to {_end(high)}"
            rows.append(
                (
                    m.metric.keyword,
                    f"{m.value:.6g}",
                    m.metric.unit,
                    span,
                    m.verdict,
                    m.metric.meaning,
                )
            )
    return aligned(rows)


def product_table(files: Sequence[Written], observed: str) -> list[str]:
    """Products and plots as lines of text; `observed`: UTC of the first raw frame."""
    rows = [PRODUCT_COLUMNS]
    rows += [
        (p.label, p.path.name, p.path.suffix[1:].upper(), observed, p.kind, p.meaning)
        for p in files
    ]
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text with columns of equal width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _end(limit: float | None) -> str:
    return "any" if limit is None else f"{limit:g}"
