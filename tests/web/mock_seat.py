"""A candidate's seat, for the scripted server: what a link's page is told."""

from __future__ import annotations

import time
from typing import Any

Json = dict[str, Any]

TEXT = (
    "What happens: during the exam “Algebra I” your microphone is listened to.\n"
    "What is stored: the voiceprint, and a record. The sound itself is not stored.\n"
    "Who decides: people. The server only marks what somebody should look at.\n"
    "Your choice: you can say no. You can take your consent back at any time."
)
GERMAN = (
    "Was geschieht: Während der Prüfung „Algebra I“ hört der Server Ihr Mikrofon.\n"
    "Was gespeichert wird: der Stimmabdruck und ein Protokoll.\n"
    "Ihre Wahl: Sie können ablehnen. Ihre Einwilligung können Sie jederzeit zurücknehmen."
)


def seat(**changes: Any) -> Json:
    """Anna's, who is not enrolled yet."""
    now = time.time()
    kept = [
        {"what": "Your voiceprint is kept", "how_long": "30 days"},
        {"what": "The record of the exam is kept", "how_long": "14 days"},
    ]
    consent = {
        "text_version": "exam-2026-11",
        "text": TEXT,
        "text_sha256": "ab" * 32,
        "language": "en",
        "languages": ["de", "en"],
        "kept": kept,
    }
    told = {
        "exam": "Algebra I",
        "name": "Anna Meier",
        "starts_at": now,
        "ends_at": now + 7200,
        "ended_at": None,
        "expires_at": now + 10_800,
        "enrolled": False,
        "may_enrol": True,
        "withdrawn": False,
        "consent": consent,
        "clips": None,
    }
    return told | changes


def question(answer: str) -> Json:
    """Whether sound may be kept, and what was answered."""
    kept = [{"what": "The sound is kept", "how_long": "as long as the record"}]
    return {
        "text_version": "clips-2026-11",
        "text": "Around what is marked 10 seconds of sound are stored.",
        "text_sha256": "c1" * 32,
        "language": "en",
        "languages": ["de", "en"],
        "kept": kept,
        "answer": answer,
    }


def shown_in(told: Json, languages: list[str]) -> Json:
    """The same with the text in German, where that is read best."""
    if not languages or languages[0] != "de":
        return told
    kept = [
        {"what": "Ihr Stimmabdruck wird aufbewahrt", "how_long": "30 Tage"},
        {"what": "Das Protokoll der Prüfung wird aufbewahrt", "how_long": "14 Tage"},
    ]
    german = {"text": GERMAN, "text_sha256": "de" * 32, "language": "de", "kept": kept}
    shown = told | {"consent": told["consent"] | german}
    if told["clips"] is not None:
        asked = {"text": "10 Sekunden Ton werden gespeichert.", "text_sha256": "c2" * 32}
        shown["clips"] = told["clips"] | asked | {"language": "de"}
    return shown
