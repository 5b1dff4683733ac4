"""Figures come from here, never from a timed test."""
