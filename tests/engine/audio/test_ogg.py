"""Ogg in which a page is damaged, lacks, or is out of place: decoders pass over that in silence."""

from __future__ import annotations

import pytest
from ogg_pages import numbered, pages
from sound_files import encoded, read

from engine.errors import AudioError

FORMS = ["OPUS", "VORBIS"]


@pytest.mark.parametrize("form", FORMS)
def test_a_page_that_lacks_is_told(form: str) -> None:
    every = pages(encoded(form, 8.0))
    assert len(every) > 5
    for lacking in range(len(every) - 3, len(every) - 1):
        with pytest.raises(AudioError, match="some of its pages are lacking"):
            read(b"".join(every[:lacking] + every[lacking + 1 :]))


@pytest.mark.parametrize("form", FORMS)
def test_pages_that_are_not_in_order_are_told(form: str) -> None:
    *first, one, other, last = pages(encoded(form, 8.0))
    with pytest.raises(AudioError, match="not in order"):
        read(b"".join([*first, other, one, last]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_a_damaged_page_is_told(form: str, place: float) -> None:
    data = bytearray(encoded(form, 8.0))
    data[round(place * len(data))] ^= 0x10
    with pytest.raises(AudioError, match="some of it is damaged"):
        read(bytes(data))


@pytest.mark.parametrize("form", FORMS)
def test_who_came_late_to_a_live_stream_has_headers_and_later_pages(form: str) -> None:
    every = pages(encoded(form, 8.0))
    headers = 1 + next(n for n, page in enumerate(every) if page[6:14] == bytes(8) and n)
    late = [numbered(page, n + 70_000) for n, page in enumerate(every[headers:])]
    whole, warnings = read(b"".join(every[:headers] + late))
    assert (whole, warnings) == (pytest.approx(8.0, abs=0.1), ())


def test_pages_that_nobody_counted_are_read() -> None:
    uncounted = b"".join(numbered(page, 0) for page in pages(encoded("OPUS", 8.0)))
    assert read(uncounted)[0] == pytest.approx(8.0, abs=0.1)


@pytest.mark.parametrize("form", FORMS)
def test_joined_recordings_count_their_pages_anew(form: str) -> None:
    assert read(encoded(form, 4.0) * 2)[0] == pytest.approx(8.0, abs=0.1)
