"""The text of consent in every language: whole, and told apart."""

from __future__ import annotations

import itertools
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from streamer.exams.consent_text import (
    ExamConsent,
    Sound,
    Terms,
    clips_consent,
    exam_consent,
    own_consent,
)
from streamer.exams.wordings.languages import WORDINGS, best_of
from streamer.exams.wordings.wording import Wording
from streamer.store.consent import ConsentText

SOUND: tuple[Sound, ...] = get_args(Sound)
PLACE = re.compile(r"\{\w*\}")
ABOUT = re.compile(r"[^:.]{2,40}: .+")  # as the page sets off what a paragraph is about
PARTS = [field.name for field in fields(Wording)]
LANGUAGES = pytest.mark.parametrize("language", WORDINGS)


@LANGUAGES
def test_every_language_has_every_part_with_its_places(language: str) -> None:
    english, other = WORDINGS["en"], WORDINGS[language]
    for part in PARTS:
        told = getattr(other, part)
        assert told.strip(), part
        assert sorted(PLACE.findall(told)) == sorted(PLACE.findall(getattr(english, part))), part


@LANGUAGES
def test_no_part_was_left_in_english(language: str) -> None:
    english, other = WORDINGS["en"], WORDINGS[language]
    same = {part for part in PARTS if getattr(other, part) == getattr(english, part)}
    assert language == "en" or same <= {"quoted", "point"}


@LANGUAGES
def test_every_paragraph_says_what_it_is_about(language: str) -> None:
    paragraphs = exam_consent("A", language, Terms(None, None, None, "kept")).text.split("\n")
    assert len(paragraphs) == 5
    for paragraph in paragraphs:
        assert ABOUT.fullmatch(paragraph), paragraph


def every_consent(language: str) -> list[ExamConsent]:
    days = (None, 1.0, 90.5)
    found = itertools.product(days, days, days, SOUND)
    return [exam_consent("Algebra I", language, Terms(*one)) for one in found]


def test_every_term_and_language_is_a_text_of_its_own() -> None:
    hashes: list[str] = []
    for language in WORDINGS:
        for consent in every_consent(language):
            assert "{" not in consent.whole
            assert "  " not in consent.whole
            assert "Algebra I" in consent.text
            assert consent.language == language
            hashes.append(consent.sha256)
        question = clips_consent(language)
        assert question.text in exam_consent("A", language, Terms(None, None, None, "kept")).text
        hashes.append(question.sha256)
    assert len(set(hashes)) == len(hashes)


def test_how_long_is_told_as_the_language_tells_it() -> None:
    terms = Terms(ttl_days=30, unused_days=1, records_days=0.5, sound="kept")
    assert dict(exam_consent("A", "de", terms).kept) == {
        "Ihr Stimmabdruck wird aufbewahrt": "30 Tage, längstens bis er 1 Tag lang nicht benutzt"
        " wurde",
        "Das Protokoll der Prüfung wird aufbewahrt": "0,5 Tage",
        "Der Ton rund um markierte Stellen wird aufbewahrt": "so lange wie das Protokoll der"
        " Prüfung, längstens bis Sie Ihre Einwilligung zurücknehmen",
    }


@pytest.mark.parametrize(
    ("read", "language"),
    [
        ([], "en"),
        (["de-CH", "fr"], "de"),
        (["pt-BR"], "pt"),
        (["gsw", "nl-BE", "fr-BE", "en"], "fr"),
        (["KO"], "ko"),
        (["trv"], "en"),  # Taroko is not Turkish
    ],
)
def test_the_best_of_those_that_are_read_is_chosen(read: list[str], language: str) -> None:
    assert best_of(read) == language


def test_the_page_speaks_the_languages_of_the_text() -> None:
    page = Path(__file__).parents[3] / "web" / "src" / "candidate" / "language.ts"
    listed = re.findall(r'^  (\w\w): \{ name: "(.+)", words', page.read_text("utf-8"), re.MULTILINE)
    assert dict(listed) == {tag: wording.name for tag, wording in WORDINGS.items()}


def test_an_own_text_is_shown_as_it_is() -> None:
    terms = Terms(30, None, None, "none")
    consent = own_consent(ConsentText("7", "Einverstanden?"), "de-AT", terms)
    assert (consent.version, consent.language, consent.text) == ("7", "de-AT", "Einverstanden?")
    assert consent.kept[0] == ("Ihr Stimmabdruck wird aufbewahrt", "30 Tage")
    assert consent.languages == ("de-AT",)
    read = own_consent(ConsentText("7", "Einverstanden?"), "de-AT", terms, ["fr"])
    assert read == consent, "the terms are in the language of the text where there is one"


def test_the_terms_beside_a_text_in_another_language_are_in_that_of_the_page() -> None:
    own, terms = ConsentText("7", "Akkoord?"), Terms(30, None, None, "none")
    french, english = (own_consent(own, "nl", terms, read) for read in (["nl", "fr-BE", "de"], []))
    assert french.kept[0] == ("Votre empreinte vocale est conservée", "30 jours")
    assert (french.text, french.language, french.languages) == ("Akkoord?", "nl", ("nl",))
    assert english.kept[0] == ("Your voiceprint is kept", "30 days")


# By which words a language says that clips alone can be taken back, and that the exam goes on.
ALONE = {
    "de": ("Das allein können Sie jederzeit zurücknehmen", "die Prüfung geht weiter"),
    "en": ("You can take this alone back at any time", "the exam goes on"),
    "es": ("Puede retirar solo este permiso en cualquier momento", "el examen continúa"),
    "fr": ("Vous pouvez retirer cet accord seul à tout moment", "examen continue"),
    "it": ("Può revocare solo questo permesso in qualsiasi momento", "esame continua"),
    "ko": ("이 동의만 언제든지", "시험은 계속됩니다"),
    "pt": ("Você pode retirar só esta permissão a qualquer momento", "o exame continua"),
    "tr": ("bu izni istediğiniz zaman", "av sürer"),
}


@LANGUAGES
def test_the_question_of_clips_says_that_a_yes_can_be_taken_back_alone(language: str) -> None:
    question = clips_consent(language)
    for said in ALONE[language]:
        assert said in question.text
    assert question.version != "clips-2026-11", "that did not say so"
