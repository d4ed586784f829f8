"""`voxwatch enroll`."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamer.commands.enrolment_sound import heard
from streamer.commands.enrolment_there import agreed, enrol_there
from streamer.commands.event_printer import EventPrinter
from streamer.commands.options import (
    EXIT_NEGATIVE,
    AddOption,
    BundleOption,
    CaOption,
    ChannelOption,
    ConfigOption,
    ConsentOption,
    DataOption,
    DeviceOption,
    JsonOption,
    KeptDaysOption,
    ProviderOption,
    TokenOption,
    configured,
    trusting,
)

if TYPE_CHECKING:
    from streamer.commands.bulk import Hearer
    from streamer.commands.enrolment_sound import Printer, Source
    from streamer.config import Config
    from streamer.local.replay import Replay
    from streamer.store.profile import Profile
    from streamer.store.store import Store


@dataclass(frozen=True, kw_only=True)
class EnrollCommand:
    """Enrol a person: 20 s of speech, from recordings or the microphone.

    The person has to agree to the text that is shown; --consent says that they have. Sound
    that is too short, clipped, noisy or of several voices is refused, and so is another voice
    than in the recordings before it. Nothing of what is refused is stored; a server stores each
    recording on its own.

    With --from many people are enrolled, one after the other; whoever is refused keeps out nobody
    else, and whoever is there already stays as they are.

    \b
    Exit status: 0 enrolled; 1 refused, or the person does not agree; 2 error, as when nobody
    can be asked.

    \b
    Examples:
      voxwatch enroll alice alice1.wav alice2.wav
      voxwatch enroll alice --microphone --ttl-days 365
      voxwatch enroll alice alice.wav --consent --server ws://127.0.0.1:8765
      voxwatch enroll --from recordings/ --consent --report refused.csv
    """

    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Whose voice it is.")] = None
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Recordings; each is a prototype of its own."),
    ] = None
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Listen to a microphone instead.")
    ] = False
    place: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FOLDER|CSV", help="Many people: NAME.wav, NAME/*.wav, or name,file."
        ),
    ] = None
    report: Annotated[
        Path | None, typer.Option("--report", metavar="CSV", help="What became of each of them.")
    ] = None
    device: DeviceOption = None
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="Enrol on this server [on this machine]."),
    ] = None
    token: TokenOption = None
    ca: CaOption = None
    consent: ConsentOption = False
    add: AddOption = False
    kept_days: KeptDaysOption = None
    channel: ChannelOption = None
    config: ConfigOption = None
    data_dir: DataOption = None
    bundle: BundleOption = None
    provider: ProviderOption = None
    as_json: JsonOption = False

    def __post_init__(self) -> None:
        if self.place is not None:
            if self.name is not None or self.microphone:
                raise typer.BadParameter("--from names the people and their recordings")
            return
        if self.name is None:
            raise typer.BadParameter("say whose voice it is, or --from where")
        if bool(self.files) == self.microphone:
            raise typer.BadParameter("give recordings or --microphone, one of them")

    def run(self) -> None:
        """Enrol here or on a server."""
        settings = configured(self)
        if self.place is not None:
            self._enrol_many(self.place, settings)
            return
        printer = EventPrinter(self.as_json, watched=sys.stderr.isatty())
        if not asyncio.run(self._enrol(settings, printer)):
            raise typer.Exit(EXIT_NEGATIVE)

    async def _enrol(self, settings: Config, printer: Printer) -> bool:
        """One person; whether they were."""
        from streamer.store.profile import clean_name

        assert self.name is not None
        name, sources = clean_name(self.name), self._sources()
        if self.server is None:
            return await self._here(settings, name, sources, printer)
        return await enrol_there(
            self.server,
            name,
            sources,
            printer,
            consent=self.consent,
            kept_days=self.kept_days,
            add=self.add,
            access={"token": self.token, "tls": trusting(self.ca)},
        )

    def _enrol_many(self, place: Path, settings: Config) -> None:
        """Everybody of a folder or a list, all of whom have agreed."""
        from streamer.commands.bulk import BulkError, Person, enrol_all, people_in, tell

        if not self.consent:
            raise BulkError("all of them have to have agreed: --consent says that they have")

        async def enrol(person: Person, heard: Hearer) -> bool:
            one = replace(self, place=None, name=person.name, files=list(person.files))
            return await one._enrol(settings, heard)

        outcomes = asyncio.run(enrol_all(people_in(place), enrol, quiet=False))
        tell(outcomes, self.report)

    def _sources(self) -> list[Source]:
        if self.microphone:
            from streamer.sources.microphone import Microphone

            return [Microphone(self.device, channel=self.channel)]
        from streamer.sources.file import FileSource

        return [FileSource(file, self.channel) for file in self.files or ()]

    async def _here(
        self, config: Config, name: str, sources: list[Source], printer: Printer
    ) -> bool:
        """Into the store of this machine; whether it was."""
        from streamer.local.replay import Replay
        from streamer.store.profile import Consent
        from streamer.store.store import Store

        with Store.in_folder(config.data_dir, config.database, os.environ) as store:
            _check_name(store, name, self.add)  # before anybody has spoken
            if not agreed(self.consent, config.consent.text, config.kept(self.kept_days)):
                return False
            models = Replay(config.bundle, config.provider)
            manifest = models.bundle.manifest
            sha256 = manifest.model_sha256
            before = store.voiceprints(sha256, store.now(), [name])[name] if self.add else None
            after = await heard(models, name, sources, before, printer)
            if after is None:
                return False
            new = after.prototypes[len(before.prototypes) if before else 0 :]
            now = store.now()
            profile = store.add(
                name,
                new,
                consent=Consent(config.consent.version, now),
                model_name=manifest.name,
                model_sha256=sha256,
                ttl_s=config.ttl_s(self.kept_days),
                now=now,
                extend=self.add,
            )
            _keep_consent(config, store, profile, config.ttl_s(self.kept_days))
            like = _like_voices(config, models, store, name)
        printer.done(profile.name, profile.prototypes, profile.net_speech_s, like)
        return True


def _keep_consent(config: Config, store: Store, profile: Profile, term_s: float | None) -> None:
    """Write down what was agreed to."""
    from streamer.exams.consents import PURPOSE, text_hash
    from streamer.exams.exam import ConsentRow
    from streamer.exams.opening import open_exams
    from streamer.store.audit import local_user

    row = ConsentRow(
        person=profile.reference,
        candidate="",
        text_sha256=text_hash(config.consent.text),
        text_version=config.consent.version,
        language=config.consent_language if config.consent_text is not None else "en",
        purpose=PURPOSE,
        term_s=term_s,
        signer=local_user(),
        given_at=profile.consent.given_at,
    )
    with open_exams(config.database, config.data_dir, store) as exams:
        exams.consents.give(row, config.consent.text)


def _check_name(store: Store, name: str, add: bool) -> None:
    from streamer.store.errors import NameTaken, UnknownSpeaker

    taken = any(profile.name == name for profile in store.profiles(store.now()))
    if taken and not add:
        raise NameTaken(f"{name!r} is enrolled: --add gives another prototype")
    if add and not taken:
        raise UnknownSpeaker(f"{name!r} is not enrolled: check the name, or leave out --add")


def _like_voices(config: Config, models: Replay, store: Store, name: str) -> tuple[str, ...]:
    """Who else in the store could be taken for ``name``."""
    from engine.decisions.config import DecisionConfig
    from engine.scoring.like_voices import like_voices

    found = store.voiceprints(models.bundle.manifest.model_sha256, store.now())
    voices = {other: voice.prepare(models.scorer) for other, voice in found.items()}
    bound = DecisionConfig(config.false_accept, config.miss).accept_llr
    return like_voices(models.scorer, voices.pop(name), voices, bound)
