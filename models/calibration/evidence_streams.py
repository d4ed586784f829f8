"""Streams to fit decisions on: held-out speakers talk, and somebody else takes over.

Each speaker's utterances are divided: some enrol, the rest are the stream, at whose end another
speaker of the same source, of about the same pitch where there is one, goes on at the same
level. Between utterances there are pauses, half of which end a turn, as where people talk: after
a pause a change is likelier beforehand, so that speech without any would raise fewer alarms.

Streams are of four kinds, alike in number: clean; all of it through the noise, rooms, telephone and
codec of training; through one of these from some utterance on; and each utterance as if it were a
recording of its own. Most speakers that can be held out were recorded once, so that in their own
streams a voice hardly ever varies as voices do: the last two kinds say what alarms cost elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ, seconds
from engine.model.encoder import Encoder, embed_speech
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.session_config import SessionConfig
from engine.spans.interface import Mark, Spans
from models.calibration.stream_spans import Pause, spoken
from models.sound.conditions import Degrade, TrainingConditions
from models.sound.corpus import Corpus
from models.sound.degradations import another_recording
from models.sound.pitch import median_f0

ENROL_S = 20.0
STREAM_S = 25.0
STRANGER_S = 8.0
LEAST_STREAM_S = 5.0  # with less there is nothing to compare with
CLEAN, DEGRADED, CHANGING, RECORDED_ANEW = SPLITS = range(4)
ONE_SOUND = (CLEAN, DEGRADED)  # splits in which the sound stays as it is
SIMILAR_PITCH = 1.2  # ratio of two median F0, the higher over the lower
PITCH_S = 6.0  # of speech: enough for its median
UNVOICED_HZ = 150.0
SHORT_PAUSE_S, LONG_PAUSE_S = (0.1, 0.5), (0.7, 10.0)  # that go on with a turn, and that end one

Float32 = NDArray[np.float32]
Scorers = Mapping[str, CalibratedScorer]  # by source: nobody is normalised by their own


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """One speaker's part: who, of which split, the voiceprint, and what is said afterwards.

    ``begins`` are the samples of ``speech`` at which utterances after the first begin.
    """

    speaker: int
    split: int
    source: str
    language: str
    enrolled: PreparedEmbeddings
    speech: Float32
    pitch_hz: float
    begins: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class TakeoverStream:
    """A talk as spans; from net sample ``taken`` on it is another speaker's.

    ``marks`` are the places in it that a live stream would be asked at.
    """

    talk: Talk
    taken: int
    spans: Spans
    marks: tuple[Mark, ...]

    @property
    def own(self) -> tuple[Mark, ...]:
        """Places before the stranger."""
        return tuple(mark for mark in self.marks if mark.position <= self.taken)

    @property
    def turns(self) -> list[Pause]:
        """Where turns after the first begin, with the seconds of the pause before each."""
        timeline, found = self.spans.timeline, []
        for place, media in timeline.all_runs()[1:]:
            pause_s = seconds(media - timeline.ends(place))
            if pause_s >= SessionConfig().turn_pause_s:
                found.append((place, pause_s))
        return found


def talks(
    corpus: Corpus, speakers: Sequence[str], encoder: Encoder, scorers: Scorers, seed: int
) -> list[Talk]:
    """What each of ``speakers`` says, enrolled from other utterances, once for every split."""
    rng, found = np.random.default_rng(seed), []
    pitches_hz: dict[int, float] = {}
    for split in SPLITS:
        for number, name in enumerate(speakers):
            own = corpus.by_speaker[name]
            order = [own[i] for i in rng.permutation(len(own))]
            wanted = min(ENROL_S * SAMPLE_RATE_HZ, sum(u.length for u in own) / 2)
            lengths = np.cumsum([u.length for u in order[:-1]])
            count = min(int(np.searchsorted(lengths, wanted)) + 1, len(order) - 1)
            enrol = np.concatenate([corpus.waveform(u) for u in order[:count]])
            enrol = enrol[: round(ENROL_S * SAMPLE_RATE_HZ)]
            said = [corpus.waveform(u) for u in order[count:]]
            speech, ends = np.concatenate(said), np.cumsum([len(one) for one in said])
            prepared = scorers[own[0].source].prepare(
                embed_speech(encoder, enrol)[None], len(enrol) / SAMPLE_RATE_HZ
            )
            speech = speech[: round(STREAM_S * SAMPLE_RATE_HZ)]
            first = own[0]
            if number not in pitches_hz:
                pitch_hz = median_f0(speech[: round(PITCH_S * SAMPLE_RATE_HZ)])
                pitches_hz[number] = pitch_hz or UNVOICED_HZ
            begins = tuple(int(end) for end in ends if end < len(speech))
            about = first.source, first.language, prepared, speech, pitches_hz[number], begins
            found.append(Talk(number, split, *about))
    return found


def streams(
    talks: Sequence[Talk],
    encoder: Encoder,
    degrade: Degrade,
    seed: int,
    *,
    progress: bool = True,
) -> list[TakeoverStream]:
    """Every talk that is long enough, with a takeover at its end."""
    rng, found = np.random.default_rng(seed), []
    pausing = np.random.default_rng((seed, 1))
    for talk in tqdm(talks, unit="stream", disable=None if progress else True):
        strangers = _strangers(talk, talks)
        if len(talk.speech) < LEAST_STREAM_S * SAMPLE_RATE_HZ or not strangers:
            continue
        other = strangers[int(rng.integers(len(strangers)))].speech
        other = other[: round(STRANGER_S * SAMPLE_RATE_HZ)]
        level = np.sqrt(np.mean(np.square(talk.speech)) / np.mean(np.square(other)))
        sound = np.concatenate([talk.speech, other * level]).clip(-1, 1).astype(np.float32)
        begins = (*talk.begins, len(talk.speech))
        sound = _heard_as(talk.split, sound, begins, degrade, rng)
        spans, marks = spoken(sound, encoder, [(at, _pause_s(pausing)) for at in begins])
        found.append(TakeoverStream(talk, len(talk.speech), spans, tuple(marks)))
    return found


def _heard_as(
    split: int, sound: Float32, begins: Sequence[int], degrade: Degrade, rng: np.random.Generator
) -> Float32:
    """The sound of a stream, whose utterances after the first begin at ``begins``, of a split.

    What changes from one utterance on does so at one that is not the stranger's, where there is
    any: that the sound changes says nothing of who speaks.
    """
    if split == CLEAN:
        return sound
    if split == RECORDED_ANEW:
        anew = [another_recording(said, rng) for said in np.split(sound, begins) if len(said)]
        return np.concatenate(anew).clip(-1, 1).astype(np.float32)
    degraded = degrade(sound, int(rng.integers(TrainingConditions.KINDS)), rng)
    if split == DEGRADED:
        return degraded
    own = begins[:-1] or [begins[-1] // 2]
    at = own[int(rng.integers(len(own)))]
    return np.concatenate([sound[:at], degraded[at:]])


def _pause_s(rng: np.random.Generator) -> float:
    """Seconds, of which short ones are as likely as long ones."""
    low, high = SHORT_PAUSE_S if rng.random() < 0.5 else LONG_PAUSE_S
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def rivals(talk: Talk, talks: Sequence[Talk]) -> list[Talk]:
    """Other speakers' talks of the same source and, where there are any, language."""
    others = [
        other
        for other in talks
        if other.speaker != talk.speaker
        and other.source == talk.source
        and other.split == talk.split
    ]
    return [other for other in others if other.language == talk.language] or others


def _strangers(talk: Talk, talks: Sequence[Talk]) -> list[Talk]:
    """Who takes over: of similar pitch, the hardest to notice, where there is anybody."""
    long = [t for t in talks if len(t.speech) >= STRANGER_S / 2 * SAMPLE_RATE_HZ]
    others = [o for o in long if o.speaker != talk.speaker and o.source == talk.source]
    ratio = [max(o.pitch_hz, talk.pitch_hz) / min(o.pitch_hz, talk.pitch_hz) for o in others]
    near = [o for o, r in zip(others, ratio, strict=True) if r <= SIMILAR_PITCH]
    near = near or others
    return [o for o in near if o.language == talk.language] or near
