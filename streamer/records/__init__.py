"""The record: what was decided in every stream, kept so that it stands up afterwards."""
