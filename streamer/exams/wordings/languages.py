"""Which languages there are, and which of them somebody reads best."""

from __future__ import annotations

from collections.abc import Iterable

from streamer.exams.wordings.de import DE
from streamer.exams.wordings.en import EN
from streamer.exams.wordings.es import ES
from streamer.exams.wordings.fr import FR
from streamer.exams.wordings.it import IT
from streamer.exams.wordings.ko import KO
from streamer.exams.wordings.pt import PT
from streamer.exams.wordings.tr import TR
from streamer.exams.wordings.wording import Wording

# By RFC 5646, in the order of their names as a page lists them.
WORDINGS: dict[str, Wording] = {
    "de": DE,
    "en": EN,
    "es": ES,
    "fr": FR,
    "it": IT,
    "ko": KO,
    "pt": PT,
    "tr": TR,
}
USUAL = "en"


def best_of(languages: Iterable[str]) -> str:
    """The first of these, as a browser lists them ("pt-BR", "en"), that there is; else English."""
    for one in languages:
        if (primary := one.partition("-")[0].lower()) in WORDINGS:
            return primary
    return USUAL
