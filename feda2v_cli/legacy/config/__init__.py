"""Configurations of the earlier system: JSON files that become profiles."""
