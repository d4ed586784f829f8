"""`/metrics`: the server's figures for Prometheus, gathered when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.server.context import Context
from streamer.server.streams import Streams
from streamer.server.totals import figures, summed

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class StatsCollector(Collector):
    """Tells the ``figures`` that the server and its engine keep anyway: no stream pays for it.

    No label holds anything that a client chose.
    """

    def __init__(self, context: Context, figures: Mapping[str, Any]) -> None:
        self._context, self._figures = context, figures

    def collect(self) -> Iterator[Metric]:
        """Every figure."""
        found, engine = self._figures, self._figures["engine"]
        model = self._context.model
        yield _labelled_gauge(
            "voxwatch_info",
            "What is served.",
            {"version": self._context.server, "model": model.name, "provider": model.provider},
        )
        yield GaugeMetricFamily("voxwatch_streams", "Open streams.", found["streams"])
        yield GaugeMetricFamily("voxwatch_monitors", "Followers.", found["monitors"])
        yield _by("voxwatch_connections", "Connections opened.", "path", found["connections"])
        yield _by("voxwatch_errors", "Refusals, by code.", "code", found["errors"])
        yield _by("voxwatch_events", "Events of streams.", "type", found["messages"])
        yield _by("voxwatch_verdicts", "Verdicts on recordings.", "state", found["verdicts"])
        yield _count("voxwatch_sound_seconds", "Sound received.", found["sound_s"])
        yield _count("voxwatch_resumed", "Streams taken up again.", found["resumed"])
        yield _count("voxwatch_coalesced_scores", "Scores slow clients missed.", found["coalesced"])
        yield _count("voxwatch_windows", "Windows embedded.", engine["windows"])
        yield _count("voxwatch_batches", "Batches of windows.", engine["batches"])
        sizes = engine["batch_sizes"]
        yield _by("voxwatch_batches_by_size", "Batches of windows, by rows.", "rows", sizes)
        yield _count("voxwatch_vad_frames", "Frames judged for speech.", engine["frames"])
        yield _count("voxwatch_late_windows", "Windows after their deadline.", engine["late"])
        yield _count("voxwatch_job_failures", "Jobs that failed.", engine["failures"])
        yield _count("voxwatch_model_cpu_seconds", "CPU of the model.", engine["model_cpu_s"])
        yield _count("voxwatch_vad_cpu_seconds", "CPU of the detector.", engine["vad_cpu_s"])
        yield GaugeMetricFamily("voxwatch_queued_jobs", "Jobs waiting.", engine["queued"])
        wait_s = engine["longest_wait_s"]
        yield GaugeMetricFamily("voxwatch_longest_wait_seconds", "Of a window, so far.", wait_s)
        yield GaugeMetricFamily(
            "voxwatch_hop_seconds", "Forced on streams; 0: none.", engine["hop_s"]
        )
        yield from _of_the_record(found["record"])


def _of_the_record(found: Mapping[str, float]) -> Iterator[Metric]:
    if not found:  # none is kept
        return
    yield _count("voxwatch_record_entries", "Entries written to the record.", found["written"])
    yield _count("voxwatch_record_entries_lost", "Entries that found no room.", found["lost"])
    yield _count("voxwatch_record_cpu_seconds", "CPU of writing it.", found["cpu_s"])
    waiting, failing = found["waiting"], found["failing"]
    yield GaugeMetricFamily("voxwatch_record_waiting", "Entries not written yet.", waiting)
    yield GaugeMetricFamily("voxwatch_record_failing", "Workers that cannot write.", failing)


class Metrics:
    """The text of a server's figures, which are those of all its workers."""

    def __init__(self, context: Context, streams: Streams) -> None:
        self._context, self._streams = context, streams

    async def text(self) -> bytes:
        """In Prometheus' text format."""
        context = self._context
        ours, others = figures(context, len(self._streams)), await context.peers.ask("figures")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(StatsCollector(context, summed([ours, *others])))
        return generate_latest(registry)


def _count(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(name, what, value)


def _by(name: str, what: str, label: str, counts: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, what, labels=[label])
    for value in sorted(counts):
        family.add_metric([value], counts[value])
    return family


def _labelled_gauge(name: str, what: str, labels: Mapping[str, str]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family
