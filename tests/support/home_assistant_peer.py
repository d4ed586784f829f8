"""Home Assistant's core with its own MQTT integration, in `.venv-peers/home-assistant`.

    python home_assistant_peer.py BROKER_PORT CONFIG_FOLDER

Prints each state and each device that the integration makes, changes or removes, as JSON lines;
`delete NAME` on its input deletes a device as its page does, and `stop` ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, config_entries, core, loader
from homeassistant.components import mqtt
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers import device_registry
from homeassistant.setup import async_setup_component
from ports import free_port


def tell(**what: Any) -> None:
    print(json.dumps(what, default=str), flush=True)


async def started(folder: str, broker_port: int) -> core.HomeAssistant:
    (Path(folder) / "configuration.yaml").touch()
    hass = core.HomeAssistant(folder)
    loader.async_setup(hass)
    hass.config.skip_pip = True
    web = {"http": {"server_host": "127.0.0.1", "server_port": free_port()}}
    hass.config_entries = config_entries.ConfigEntries(hass, web)
    await bootstrap.async_load_base_functionality(hass)
    await async_process_ha_core_config(hass, {})
    hass.bus.async_listen(core.EVENT_STATE_CHANGED, state_changed)
    hass.bus.async_listen(device_registry.EVENT_DEVICE_REGISTRY_UPDATED, device_changed(hass))
    assert await async_setup_component(hass, "http", web)
    await hass.async_start()
    flow = await hass.config_entries.flow.async_init("mqtt", context={"source": "user"})
    given = {"broker": "127.0.0.1", "port": broker_port}
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], given)
    assert done["type"] == "create_entry", done
    return hass


@core.callback
def state_changed(event: core.Event) -> None:
    new = event.data["new_state"]
    attributes = dict(new.attributes) if new else {}
    state = new.state if new else None
    tell(entity=event.data["entity_id"], state=state, attributes=attributes)


def device_changed(hass: core.HomeAssistant) -> Any:
    known: dict[str, Any] = {}

    @core.callback
    def changed(event: core.Event) -> None:
        registry = device_registry.async_get(hass)
        device = registry.async_get(event.data["device_id"])
        if device is not None:
            known[device.id] = device
        about = known[event.data["device_id"]]
        via = registry.async_get(about.via_device_id) if about.via_device_id else None
        tell(
            device=about.name,
            action=event.data["action"],
            via=via.name if via else None,
            version=about.sw_version,
        )

    return changed


async def delete(hass: core.HomeAssistant, name: str) -> None:
    """As the page of a device does it."""
    registry = device_registry.async_get(hass)
    (entry,) = hass.config_entries.async_entries("mqtt")
    (device,) = (one for one in registry.devices.values() if one.name == name)
    assert await mqtt.async_remove_config_entry_device(hass, entry, device)
    registry.async_update_device(device.id, remove_config_entry_id=entry.entry_id)


async def main() -> None:
    hass = await started(sys.argv[2], int(sys.argv[1]))
    tell(started=True)
    lines = asyncio.StreamReader()
    await hass.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().strip():
        what, _, name = line.partition(" ")
        if what == "stop":
            break
        await delete(hass, name)
    await hass.async_stop()


asyncio.run(main())
