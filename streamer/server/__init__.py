"""Connections, streams, enrolment, monitors, control, pages, MQTT."""
