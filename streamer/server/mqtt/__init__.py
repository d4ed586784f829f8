"""This package publishes what streams say to an MQTT broker, and tells Home Assistant of them."""
