"""Builders of the networks whose files hold weights only."""
