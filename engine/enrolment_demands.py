"""What an enrolment asks of the sound: how much speech, of what quality, of one voice."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.audio.files import MAX_CLIPPED, SILENCE_DBFS
from engine.audio.levels import LevelSums
from engine.audio.quality import NOISY_SNR_DB, QUIET_DBFS, quality_figures
from engine.events import RefusalCode
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.speech.gate import GateConfig

Refusal = tuple[RefusalCode, str]  # and what helps


@dataclass(frozen=True, slots=True)
class EnrolmentConfig:
    """How much net speech is needed, and how sure it must be that it is one voice.

    The speech is embedded in parts of ``part_s``. An enrolment ends with ``needed_s`` of them,
    and ``min_s`` will do when the sound ends there; what is left over at the end is not used.
    Speech too short for two parts is used whole: its last ``part_s`` are a part too, which may
    overlap the first, and nothing can be said of how many voices it holds.

    ``min_s`` says only what is refused: whatever it is, the same sound gives the same voiceprint.
    ``allow_poor`` takes clipped and noisy sound and several voices.

    ``one_voice_llr`` is the least LLR between the two sets into which the parts fall best. It lies
    under 0, as these are not any two sets of one voice, but the two least alike. With the bundled
    model 2 of 182 spans of 20 s by one of 84 speakers are refused (7 under a bound of 0), and 95,
    98 and 99 % of those in which another speaker of the same corpus speaks for 2.5, 5 and 10 s:
    speakers among those it was calibrated on, none of whom it was trained on, 2026-11-30. An
    enrolment that joins others is held to it too, in its LLR against the nearest of them: of
    pairs of these spans 3.3 % by one speaker are refused, and 99.7 % of those by two.
    """

    needed_s: float = 20.0
    min_s: float = 10.0
    part_s: float = 2.5
    one_voice_llr: float = -1.0
    allow_poor: bool = False
    gate: GateConfig = field(default_factory=GateConfig)

    def __post_init__(self) -> None:
        if not 0 < self.min_s <= self.needed_s or not 0 < 2 * self.part_s <= self.needed_s:
            raise ValueError("an enrolment needs min_s and 2 * part_s over 0, up to needed_s")


# For recordings named on the command line, whose speaker cannot be asked to say more.
SHORT_ENROLMENT = EnrolmentConfig(min_s=3.0)


def length_refusal(total: LevelSums, gathered: int, config: EnrolmentConfig) -> Refusal | None:
    """Whether too little was said: ``gathered`` samples of speech, of all the sound."""
    level_dbfs = quality_figures(total).level_dbfs
    if not total.speech and level_dbfs is not None and level_dbfs >= QUIET_DBFS:
        return "silent", (
            f"no speech was heard in sound of {level_dbfs:.0f} dBFS: if somebody spoke, find a"
            " quieter place or come closer to the microphone"
        )
    if not total.speech:
        return "silent", "no speech was heard: check the microphone, its mute switch and level"
    if level_dbfs is None or level_dbfs < SILENCE_DBFS:
        return "silent", "the speech is hardly audible: come closer or raise the input level"
    if gathered < round(config.min_s * SAMPLE_RATE_HZ):
        return "too-short", (
            f"{seconds(total.speech):.1f} s of speech: {config.min_s:g} s are needed,"
            f" {config.needed_s:g} s are better; go on speaking"
        )
    return None


def sound_refusal(total: LevelSums) -> Refusal | None:
    """Whether the sound, all of it, is clipped or noisy."""
    found = quality_figures(total)
    if found.clipped > MAX_CLIPPED:
        return "clipped", (
            f"{100 * found.clipped:.1f} % of the sound is cut flat: lower the input level or"
            " move back, and speak again"
        )
    if found.snr_db is not None and found.snr_db < NOISY_SNR_DB:
        return "noisy", (
            f"the speech is only {found.snr_db:.0f} dB above the noise: find a quieter place"
            " or come closer to the microphone"
        )
    return None
