"""English."""

from __future__ import annotations

from streamer.exams.wordings.wording import Wording

EN = Wording(
    name="English",
    text="""\
What happens: during the exam {exam} your microphone is listened to, from the moment you begin on \
this page until you leave it or the exam ends. The server compares the voice with a voiceprint of \
yours, several times a second.
What is stored: the voiceprint, which is a list of numbers worked out from your voice, kept \
encrypted. And a record: when which voice spoke, how sure the server was, and how good the sound \
was. {sound}
Why: so that the people who supervise the exam can see whether it is you who speaks. It is used \
for nothing else. Feelings are not looked for.
Who decides: people. The server only marks what somebody should look at. You can ask them what was \
marked, and answer to it.
Your choice: you can say no, and ask the examiners for another way. You can take your consent \
back at any time, here or by asking them: the voiceprint is then deleted at once, and nothing is \
compared any more.""",
    quoted="“{}”",
    no_sound="The sound itself is not stored.",
    if_allowed="The sound itself is not stored, unless you allow it separately.",
    clips="Around what is marked 10 seconds of sound are stored, encrypted, and those who supervise"
    " the exam can listen to them. You can take this alone back at any time, here or by asking the"
    " examiners: the sound is then deleted at once, and the exam goes on.",
    voiceprint="Your voiceprint is kept",
    record="The record of the exam is kept",
    sound="The sound around what is marked is kept",
    until_withdrawn="until you take your consent back, or the examiners delete it",
    until_deleted="until the examiners delete it",
    with_record="as long as the record of the exam, and until you take your consent back at the"
    " latest",
    unused="until it has not been used for {days}",
    both="{term}, and no longer than {unused}",
    day="{} day",
    days="{} days",
    point=".",
)
