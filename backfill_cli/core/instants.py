"""Instants as text: epoch seconds and microseconds to the ISO 8601 UTC that JSON shows.

Owns the one spelling (contract section 1) in two speeds: `iso` for a value here and there, `IsoText` for a stream of
them. Both write what `datetime.isoformat` writes; a property test holds them to it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DAY_S = 86_400
_EPOCH_DAY = EPOCH.toordinal()


def instant(seconds: float) -> datetime:
    """Return the aware UTC datetime of epoch seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def iso(seconds: int | None) -> str | None:
    """Return epoch seconds as ISO 8601 UTC, as JSON shows instants; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def iso_us(micros: int | None) -> str | None:
    """Return epoch microseconds as ISO 8601 UTC; None stays None."""
    return None if micros is None else datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat()


def run_id(run_type: str, logical_date: int) -> str:
    """Return `<run_type>__<logical_date ISO>`."""
    return f"{run_type}__{iso(logical_date)}"


class IsoText:
    """Epoch seconds as ISO 8601 UTC, for streams: several times as quick as `iso`, and the same text.

    A plan walks day by day, so the text of the last day is kept; and few times of the day ever occur, so theirs are
    kept too: 86,400 at most, a few hundred in practice.
    """

    __slots__ = ("_day", "_day_text", "_times")

    def __init__(self) -> None:
        self._day: int | None = None
        self._day_text = ""
        self._times: dict[int, str] = {}

    def __call__(self, seconds: int) -> str:
        """Return the text. Raises ValueError outside the years 1 to 9999."""
        day, second = divmod(seconds, _DAY_S)
        if day != self._day:
            self._day_text = date.fromordinal(_EPOCH_DAY + day).isoformat()
            self._day = day
        time = self._times.get(second)
        if time is None:
            time = self._times[second] = f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}+00:00"
        return self._day_text + time
