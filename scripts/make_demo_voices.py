"""Makes the voices of the demonstration: `python scripts/make_demo_voices.py`.

flite reads texts of our own with two of its voices, Anna (slt) and Ben (awb); what comes out
is kept in the repository, so that nobody needs a synthesiser to see the demonstration.
`call.json` says who speaks when in `call.ogg`: the truth that `scripts/demo --check` holds
the server to.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

FOLDER = Path(__file__).parent / "demo_voices"
RATE_HZ = 16000
VOICES = {"Anna": "slt", "Ben": "awb"}
PAUSE_S = 0.5
PEAK = 0.5

ENROLMENT = """
The harbour lay quiet in the early morning, and the first boats were coming home.
Nobody on the pier had slept, because the storm had kept the whole town awake.
We counted the masts as they passed the lighthouse, one after another.
Above the market the bakers were already at work, and the smell of bread came down the hill.
By seven the sun stood over the water, and somebody began to sing.
An old fisherman told us that the wind would turn before the evening came.
We bought a bag of warm rolls and sat down on the wall to watch the gulls.
"""
CALL = [
    (
        "Anna",
        "Good morning, I would like to ask about the order that I placed last week. "
        "It was meant to arrive on Thursday, but nothing has come so far. "
        "Could you find out where it is, and tell me when it will be delivered?",
    ),
    (
        "Ben",
        "Hello, I am taking over this call now, so please send everything to another address. "
        "The parcel should go to the warehouse behind the railway station. "
        "And please change the telephone number that you have for me as well.",
    ),
]


def speak(name: str, text: str) -> Float32:
    """What ``name`` says, mono float32 at 16 kHz with a fixed peak."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        spoken = " ".join(text.split())
        subprocess.run(["flite", "-voice", VOICES[name], "-t", spoken, "-o", path], check=True)
        samples, rate_hz = sf.read(path, dtype="float32")
    if rate_hz != RATE_HZ:
        raise SystemExit(f"flite's voice {VOICES[name]} speaks at {rate_hz} Hz, not {RATE_HZ}")
    return np.asarray(PEAK * samples / np.abs(samples).max(), np.float32)


def write(file: str, samples: Float32) -> None:
    """Write one sound, in Opus: a tenth of the size of FLAC."""
    sf.write(FOLDER / file, samples, RATE_HZ, format="OGG", subtype="OPUS")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in VOICES:
        write(f"{name.lower()}.ogg", speak(name, ENROLMENT))
    silence = np.zeros(round(PAUSE_S * RATE_HZ), np.float32)
    pieces, turns, position = [silence], [], PAUSE_S
    for name, text in CALL:
        said = speak(name, text)
        end = position + len(said) / RATE_HZ
        turns.append({"speaker": name, "start_s": round(position, 3), "end_s": round(end, 3)})
        pieces += [said, silence]
        position = end + PAUSE_S
    call = np.concatenate(pieces)
    write("call.ogg", call)
    truth = {"duration_s": round(len(call) / RATE_HZ, 3), "turns": turns}
    (FOLDER / "call.json").write_text(json.dumps(truth, indent=2) + "\n")


if __name__ == "__main__":
    main()
